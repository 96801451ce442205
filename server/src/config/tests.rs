use super::*;

fn load(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
    Config::load(None, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn the_documented_defaults_are_the_defaults_in_force() {
    let text = include_str!("../../../deploy/tenor.default.toml");
    let documented: Config = toml::from_str(text).unwrap();
    assert_eq!(documented, Config::default());
    for line in toml::to_string(&Config::default()).unwrap().lines().filter(|line| line.contains(" = ")) {
        let key = line.split(" = ").next().unwrap();
        assert!(text.contains(&format!("\n{key} = ")), "deploy/tenor.default.toml lacks `{key}`");
    }
}

#[test]
fn a_reachable_address_without_authentication_is_refused_unless_insecure() {
    for key in ["TENOR_SERVER__LISTEN", "TENOR_SERVER__OPERATIONS_LISTEN"] {
        for address in ["0.0.0.0:8470", "[::]:8470", "192.168.1.4:1"] {
            let error = load(&[(key, address)]).unwrap().check().unwrap_err();
            assert!(error.to_string().contains("--insecure"), "{error}");
            load(&[(key, address), ("TENOR_SERVER__INSECURE", "true")]).unwrap().check().unwrap();
        }
        load(&[(key, "[::1]:0")]).unwrap().check().unwrap();
    }
}

#[test]
fn the_environment_reaches_every_level_with_the_type_of_the_default() {
    let config = load(&[
        ("TENOR_TELEMETRY__LOGS__FORMAT", "json"),
        ("TENOR_TELEMETRY__TRACES__SAMPLE_RATIO", "0.5"),
        ("TENOR_STORAGE__DATA_DIR", "123"),
        ("TENOR_SERVER__ALLOWED_HOSTS", r#"["a.lan", "b.lan"]"#),
        ("TENOR_WORKER__SLOTS", "7"),
        ("TENOR_URL", "not a section"),
    ])
    .unwrap();
    assert_eq!(config.telemetry.logs.format, tenor_telemetry::LogFormat::Json);
    assert_eq!(config.telemetry.traces.sample_ratio, 0.5);
    assert_eq!(config.storage.data_dir, PathBuf::from("123"));
    assert_eq!(config.server.allowed_hosts, ["a.lan", "b.lan"]);
    assert_eq!(config.worker.slots, 7);
}

#[test]
fn a_wrong_key_or_value_is_an_error_that_names_it() {
    for (name, value, says) in [
        ("TENOR_SERVER__LISTENN", "x", "listenn"),
        ("TENOR_SERVER__LISTEN__X", "1", "listen"),
        ("TENOR_WORKER__SLOTS", "many", "TENOR_WORKER__SLOTS"),
        ("TENOR_WORKER__SLOTS", "-1", "slots"),
        ("TENOR_SERVER__LISTEN", "nowhere", "listen"),
    ] {
        let error = format!("{:#}", load(&[(name, value)]).unwrap_err());
        assert!(error.contains(says), "{error}");
    }
    for (name, value) in [
        ("TENOR_WORKER__SLOTS", "0"),
        ("TENOR_QUEUE__LEASE_MS", "1"),
        ("TENOR_SERVING__MAX_BATCH", "0"),
        ("TENOR_SERVER__OPERATIONS_LISTEN", "9090"),
    ] {
        load(&[(name, value)]).unwrap().check().unwrap_err();
    }
}

#[test]
fn passwords_are_not_printed() {
    let config = load(&[("TENOR_STORAGE__DATABASE", "postgres://tenor:secret@db/tenor")]).unwrap();
    let printed = config.printed().unwrap();
    assert!(!printed.contains("secret"));
    assert!(printed.contains("postgres://tenor:***@db/tenor"));
    let url = "postgres://db/tenor?user=tenor&password=secret&sslmode=require";
    assert_eq!(without_password(url), "postgres://db/tenor?user=tenor&password=***&sslmode=require");
    assert_eq!(without_password("sqlite://a.db?mode=rwc"), "sqlite://a.db?mode=rwc");
    assert_eq!(toml::from_str::<Config>(&Config::default().printed().unwrap()).unwrap(), Config::default());
}
