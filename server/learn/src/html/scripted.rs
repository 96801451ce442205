//! Pages with a script of ours in them.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Html, POLICY};

impl Html {
    /// The whole page with more styles and a script, which finds `data` as the text of the element `data`. The policy
    /// names the digest of the script, so no other one can run.
    pub fn finish_scripted(mut self, title: &str, style: &str, script: &str, data: &Value) -> String {
        // The only characters of JSON that could end the element stand in its strings.
        let data = data.to_string().replace('<', "\\u003c").replace('>', "\\u003e");
        self.open("script", &[("type", "application/json"), ("id", "data")]);
        self.body.push_str(&data);
        self.close("script").line().open("script", &[]);
        self.body.push_str(script);
        self.close("script").line();
        // Both come first in the head; what users write is escaped and comes later.
        let policy = format!("{POLICY}; script-src 'sha256-{}'", base64(&Sha256::digest(script)));
        self.finish(title).replacen(POLICY, &policy, 1).replacen("</style>", &format!("{style}</style>"), 1)
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char;
            out.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let all = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn data_cannot_end_its_element_and_only_the_script_may_run() {
        let data = serde_json::json!({"a": "</script><script>alert(1)</script>"});
        let page = Html::default().finish_scripted("</style>", "b{}", "go()", &data);
        assert_eq!(page.matches("<script").count(), 2);
        assert!(page.contains(r#""a":"\u003c/script\u003e\u003cscript\u003ealert(1)\u003c/script\u003e""#), "{page}");
        let digest = base64(&Sha256::digest("go()"));
        assert!(page.contains(&format!("style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"")), "{page}");
        assert!(page.contains("b{}</style>\n</head>"));
    }
}
