//! Every rpc has a command.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};
use prost::Message as _;
use tenor_cli::{Cli, RPC_COMMANDS};

fn rpcs() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(tenor_proto::FILE_DESCRIPTOR_SET).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "tenor.v1");
    let services = files.flat_map(|file| &file.service);
    services
        .flat_map(|service| service.method.iter().map(|method| format!("{}/{}", service.name(), method.name())))
        .collect()
}

#[test]
fn every_rpc_is_reached_by_a_command() {
    let listed: BTreeSet<String> = RPC_COMMANDS.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    let all = rpcs();
    assert!(all.len() > 50, "the descriptors are read");
    assert_eq!(listed, all, "left: rpcs with a command; right: rpcs");
    assert_eq!(listed.len(), RPC_COMMANDS.len(), "no rpc is listed twice");
}

#[test]
fn every_listed_command_parses() {
    for (rpc, command) in RPC_COMMANDS {
        let line = std::iter::once("tenor").chain(command.split(' '));
        if let Err(error) = Cli::try_parse_from(line) {
            panic!("{rpc}: `tenor {command}`: {error}");
        }
    }
}

fn sources(folder: &std::path::Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_command_that_a_message_names_is_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = Vec::new();
    ["sdk-cli/src", "server"].iter().for_each(|folder| sources(&root.join(folder), &mut texts));
    let mut named = BTreeSet::new();
    for part in texts.iter().flat_map(|text| text.split("`tenor ").skip(1)) {
        let words = part.split('`').next().unwrap_or("").split_whitespace();
        // What follows the verb, and what stands for a name, is not a command.
        let words = words.take(2).take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        let words: Vec<String> = words.filter(|word| !word.starts_with('-')).map(str::to_owned).collect();
        named.insert(words);
    }
    assert!(named.len() > 10, "{named:?}");
    for words in named {
        let all = Cli::command();
        let mut command = &all;
        for word in &words {
            let found = command.find_subcommand(word);
            // A command without verbs takes arguments.
            command = match found {
                Some(found) => found,
                None => {
                    assert!(!command.has_subcommands(), "a message names `tenor {}`", words.join(" "));
                    break;
                }
            };
        }
    }
}

#[test]
fn the_command_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_demo_commands_parse() {
    for line in [
        "dataset import reviews.csv --dataset reviews",
        "dataset split reviews --task binary",
        "dataset process reviews@2 --task star --split grouped --balance 100 --seed 7 --fractions 0.8,0.1,0.1",
        "run train --dataset reviews --kind logreg --experiment demo --register reviews --alias champion",
        "run train --split ID --experiment demo --param C=0.5 --no-wait",
        "deployment create reviews --model reviews --alias champion",
        "predict reviews --explain 8 one two",
        "predict reviews --numeric helpful_ratio=0.5 --mode strict --file -",
        "explain reviews text --class positive --top-k 5 --numeric helpful_ratio=0.5 --mode warn",
        "completions bash",
        "ping --output json --timeout 5",
    ] {
        if let Err(error) = Cli::try_parse_from(std::iter::once("tenor").chain(line.split(' '))) {
            panic!("`tenor {line}`: {error}");
        }
    }
}
