//! A study from the command line: its trials run by a client, then everything that shows what was found.

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_study_is_made_run_and_read_from_the_command_line() {
    for server in servers().await {
        let url = server.url.clone();
        tokio::task::spawn_blocking(move || by_hand(&url)).await.unwrap();
        server.stop().await;
    }
}

fn by_hand(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (space, page) = (folder.path().join("space.json"), folder.path().join("study.html"));
    let params = json!([
        { "name": "x", "type": "float", "low": 0.0, "high": 1.0 },
        { "name": "y", "type": "float", "low": 0.0, "high": 1.0 },
    ]);
    std::fs::write(&space, params.to_string()).unwrap();
    let call = |line: &str| tenor(url, &line.split(' ').collect::<Vec<_>>());
    let shown = |line: &str| {
        let done = call(line);
        assert_eq!(done.code, 0, "{line}: {}", done.stderr);
        done.stdout
    };
    let read = |line: &str| -> Value { serde_json::from_str(&shown(&format!("{line} --output json"))).unwrap() };
    let lines = |line: &str| -> Vec<Value> {
        shown(&format!("{line} --output ndjson")).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    for wrong in ["log_loss", "loss:mni"] {
        let done = call(&format!("study create s --space {} --objective {wrong}", space.display()));
        assert!(done.code == 2 && done.stderr.contains(":min"), "{}", done.stderr);
    }
    let flags = "--objective loss:min --objective seconds:min --at-most bytes=10 --trials 15 --pruner median --prune-by loss:min";
    shown(&format!("study create s --space {} {flags}", space.display()));
    let described = shown("study describe s");
    assert!(described.contains("bytes <= 10") && described.contains("median by loss (lower is better)"), "{described}");
    shown("study enqueue s --param x=0.5 --param y=0.5");
    for number in 0..15 {
        let asked = read("study suggest s --client me");
        assert_eq!((&asked["trial"]["number"], &asked["again"]), (&json!(number), &json!(false)));
        assert_eq!(read("study suggest s --client me")["again"], json!(true));
        let of = |name: &str| asked["trial"]["params"][name].as_f64().unwrap();
        let (loss, seconds) = (of("x"), 1.0 - of("x") + 0.1 * of("y"));
        shown(&format!("study heartbeat s {number} --client me"));
        let told = read(&format!("study report-step s {number} --client me --step 1 --metric loss={loss}"));
        assert_eq!(told, read(&format!("study should-prune s {number}")));
        match number {
            3 => shown(&format!("study prune s {number} --client me --metric loss={loss}")),
            4 => shown(&format!("study fail s {number} --client me --error broken")),
            _ => shown(&format!(
                "study complete s {number} --client me --metric loss={loss} --metric seconds={seconds} --metric bytes=9"
            )),
        };
    }
    let over = call("study suggest s --client me");
    assert!(over.code != 0 && over.stderr.contains("is completed"), "{}", over.stderr);

    assert!(shown("study list").contains("completed"));
    let watched = lines("study watch s");
    assert_eq!(watched.last().unwrap()["state"], "completed");
    let described = shown("study describe s");
    assert!(described.contains("15 of 15") && described.contains("loss by trial, and the best so far"), "{described}");
    let all = shown("study trials s --limit 0");
    assert_eq!(all.lines().count(), 16, "{all}");
    assert!(all.contains("pruned") && all.contains("broken"), "{all}");
    let good = lines("study trials s --state complete --filter metrics.loss<0.5 --order-by metrics.loss");
    let losses: Vec<f64> = good.iter().map(|trial| trial["metrics"]["loss"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted() && losses.iter().all(|loss| *loss < 0.5) && !losses.is_empty(), "{losses:?}");
    assert!(shown("study trial s 4").contains("broken"));

    let front = lines("study pareto s");
    assert!(front.len() > 1 && front.iter().all(|trial| trial["violation"] == json!(0.0)), "{front:?}");
    let plot = shown("study pareto s --axis seconds --axis loss");
    assert!(plot.contains("seconds") && plot.lines().count() > front.len() + 10, "{plot}");
    let wrong = call("study pareto s --axis happiness --axis loss");
    assert!(wrong.code != 0 && wrong.stderr.contains("is no objective"), "{}", wrong.stderr);
    let importance = read("study importance s --objective loss");
    let shares: Vec<f64> =
        importance["params"].as_array().unwrap().iter().map(|param| param["share"].as_f64().unwrap()).collect();
    assert!(shares.len() == 2 && (shares[0] + shares[1] - 1.0).abs() < 1e-9, "{importance}");
    assert!(shown("study importance s").contains("being on an early front"));
    let best = read("study best s");
    let least = lines("study trials s --state complete --order-by metrics.loss");
    assert_eq!(best["trial"]["number"], least[0]["number"]);
    assert!(shown("study best s --policy knee").contains("knee"));
    shown(&format!("study report s --to {}", page.display()));
    assert!(std::fs::read_to_string(page).unwrap().contains("<svg"));

    shown("study update s --description done");
    shown("study delete s --yes");
    assert_ne!(call("study describe s").code, 0);
}
