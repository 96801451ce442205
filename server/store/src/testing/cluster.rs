//! A PostgreSQL server for tests: a given one, or a throw-away cluster of this process.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A server to make databases on.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub admin_url: String,
    /// Whether it goes on living when this process ends.
    pub outlives_us: bool,
}

/// The server of this process, started at the first call. An error says what to install.
pub(super) fn find() -> Result<Server, String> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    SERVER.get_or_init(start).clone()
}

/// `url` with its database replaced.
pub(super) fn with_database(url: &str, database: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, query)| (base, Some(query)));
    let scheme_end = base.find("://").map_or(0, |at| at + 3);
    let server = base[scheme_end..].find('/').map_or(base, |slash| &base[..scheme_end + slash]);
    match query {
        Some(query) => format!("{server}/{database}?{query}"),
        None => format!("{server}/{database}"),
    }
}

fn start() -> Result<Server, String> {
    if let Ok(admin_url) = std::env::var("TENOR_TEST_PG_URL")
        && !admin_url.is_empty()
    {
        return Ok(Server { admin_url, outlives_us: true });
    }
    let bin = binaries().ok_or(
        "no PostgreSQL server binaries were found; install them (Debian, Ubuntu: `apt-get install postgresql`) \
         or set TENOR_TEST_PG_URL",
    )?;
    start_cluster(&bin).map(|admin_url| Server { admin_url, outlives_us: false })
}

/// The folder that holds `initdb` and `postgres`.
fn binaries() -> Option<PathBuf> {
    let is_server = |folder: &Path| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let mut candidates = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output() {
        candidates.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    if let Some(path) = std::env::var_os("PATH") {
        candidates.extend(std::env::split_paths(&path));
    }
    // Debian keeps one folder a major version; the highest number first.
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    candidates.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    candidates.extend(["/opt/homebrew/opt/postgresql/bin", "/usr/local/opt/postgresql/bin"].map(PathBuf::from));
    candidates.into_iter().find(|folder| is_server(folder))
}

fn start_cluster(bin: &Path) -> Result<String, String> {
    let folder = tempfile::Builder::new()
        .prefix("tenor-pg-")
        .tempdir()
        .map_err(|error| format!("cannot make a folder for PostgreSQL: {error}"))?
        .keep();
    let result = run_cluster(bin, &folder);
    if result.is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    result
}

fn run_cluster(bin: &Path, folder: &Path) -> Result<String, String> {
    let say = |what: &str, error: std::io::Error| format!("cannot {what} for a PostgreSQL cluster: {error}");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|error| say("protect the folder", error))?;
    let we_are_root = fs::metadata(folder).map_err(|error| say("read the folder", error))?.uid() == 0;
    // PostgreSQL refuses to run as root.
    let user = if we_are_root {
        let user = unprivileged_user().ok_or("neither user `postgres` nor `nobody` exists to run PostgreSQL as")?;
        chown(folder, Some(user.0), Some(user.1)).map_err(|error| say("hand over the folder", error))?;
        Some(user)
    } else {
        None
    };
    let command = |program: &str| {
        let mut command = Command::new(bin.join(program));
        command.current_dir(folder).stdin(Stdio::null());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let data = folder.join("data");
    let init = command("initdb")
        .args(["-U", "tenor", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&data)
        .output()
        .map_err(|error| say("run initdb", error))?;
    if !init.status.success() {
        return Err(format!("initdb failed: {}", String::from_utf8_lossy(&init.stderr)));
    }
    // Before the server starts, so that nothing is left behind whenever we are killed.
    watchdog(folder)?;
    // A free port can be taken between asking and using it; ask again then.
    let mut last = String::new();
    for _ in 0..5 {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| say("find a port", error))?
            .port();
        let settings = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c full_page_writes=off \
             -c synchronous_commit=off -c max_connections=300 -c shared_buffers=64MB"
        );
        // Not `output()`: the server inherits the pipe and would keep it open.
        let started = command("pg_ctl")
            .args(["-w", "-t", "60", "-D"])
            .arg(&data)
            .arg("-l")
            .arg(folder.join("log"))
            .args(["-o", &settings, "start"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| say("run pg_ctl", error))?;
        if started.success() {
            return Ok(format!("postgres://tenor@127.0.0.1:{port}/postgres"));
        }
        last = fs::read_to_string(folder.join("log")).unwrap_or_default();
    }
    Err(format!("PostgreSQL did not start: {last}"))
}

/// Starts a shell that waits for the end of this process, however it ends, then stops the cluster and removes the
/// folder. It waits on a pipe whose other end only this process holds.
fn watchdog(folder: &Path) -> Result<(), String> {
    let script = r#"
        while read -r _; do :; done
        pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null)
        if [ -n "$pid" ]; then
            kill -INT "$pid" 2>/dev/null
            for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
            kill -QUIT "$pid" 2>/dev/null
        fi
        rm -rf "$0"
    "#;
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C on the test must not reach it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start the watchdog of the PostgreSQL cluster: {error}"))?;
    // The pipe closes with this process; nothing may close it earlier.
    std::mem::forget(child.stdin.take());
    Ok(())
}

fn unprivileged_user() -> Option<(u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        let check = |url, expected: &str| assert_eq!(with_database(url, "x"), expected);
        check("postgres://u@h:1/postgres", "postgres://u@h:1/x");
        check("postgres://u@h:1", "postgres://u@h:1/x");
        check("postgres://u@h/a?sslmode=disable", "postgres://u@h/x?sslmode=disable");
    }
}
