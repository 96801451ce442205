//! Compiles `tenor/v1/*.proto` with protox, so that no protoc is needed.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 8] = [
    "tenor/v1/common.proto",
    "tenor/v1/dataset.proto",
    "tenor/v1/experiment.proto",
    "tenor/v1/model.proto",
    "tenor/v1/deployment.proto",
    "tenor/v1/prediction.proto",
    "tenor/v1/job.proto",
    "tenor/v1/study.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("tenor.v1.binpb"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
