#![doc = include_str!("../README.md")]

/// The messages, clients and servers of package `tenor.v1`.
#[expect(missing_docs, clippy::all, clippy::pedantic, reason = "generated from proto/tenor/v1")]
pub mod v1 {
    tonic::include_proto!("tenor.v1");
}

/// The compiled `FileDescriptorSet` of every file, for reflection and for tests that enumerate rpcs.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tenor.v1.binpb"));
