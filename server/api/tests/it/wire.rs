//! Calls by path with encoded messages, and what the descriptors tell of them. An encoded message grows by appending a field:
//! the last one counts.

use bytes::{Buf as _, BufMut as _};
use prost::Message as _;
use prost::encoding::{self, DecodeContext, WireType};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::checked::Checked;

/// One method of `tenor.v1`.
#[derive(Clone)]
pub struct Rpc {
    /// `DatasetService/GetDataset`.
    pub name: String,
    pub input: DescriptorProto,
    pub output: DescriptorProto,
    pub unary: bool,
}

/// Every method there is.
pub fn rpcs() -> Vec<Rpc> {
    let set = FileDescriptorSet::decode(tenor_proto::FILE_DESCRIPTOR_SET).unwrap();
    let messages: Vec<(String, DescriptorProto)> = set
        .file
        .iter()
        .flat_map(|file| {
            file.message_type.iter().map(|message| (format!(".{}.{}", file.package(), message.name()), message.clone()))
        })
        .collect();
    let message = |name: &str| messages.iter().find(|(found, _)| found == name).unwrap().1.clone();
    let mut rpcs = Vec::new();
    for service in set.file.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            rpcs.push(Rpc {
                name: format!("{}/{}", service.name(), method.name()),
                input: message(method.input_type()),
                output: message(method.output_type()),
                unary: !method.client_streaming() && !method.server_streaming(),
            });
        }
    }
    rpcs
}

pub fn rpc(name: &str) -> Rpc {
    rpcs().into_iter().find(|rpc| rpc.name == name).unwrap_or_else(|| panic!("no rpc `{name}`"))
}

/// The methods whose request has a field, by name.
pub fn with_field(field: &str) -> Vec<String> {
    let has = |rpc: &Rpc| number(&rpc.input, field).is_some();
    let mut names: Vec<_> = rpcs().into_iter().filter(has).map(|rpc| rpc.name).collect();
    names.sort();
    names
}

pub fn number(message: &DescriptorProto, field: &str) -> Option<u32> {
    message.field.iter().find(|found| found.name() == field).map(|found| found.number().unsigned_abs())
}

#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Text(&'a str),
    Integer(i64),
}

impl Rpc {
    /// `message` with a field set.
    pub fn set(&self, message: &[u8], field: &str, value: Value<'_>) -> Vec<u8> {
        let number = number(&self.input, field).unwrap_or_else(|| panic!("{} has no `{field}`", self.name));
        let mut message = message.to_vec();
        match value {
            Value::Text(text) => encoding::string::encode(number, &text.to_owned(), &mut message),
            Value::Integer(integer) => encoding::int64::encode(number, &integer, &mut message),
        }
        message
    }

    /// The values of a field of an answer, as they are encoded; a missing text is empty.
    pub fn values(&self, answer: &[u8], field: &str) -> Vec<Vec<u8>> {
        let wanted = number(&self.output, field).unwrap_or_else(|| panic!("{} answers no `{field}`", self.name));
        let mut rest = answer;
        let mut values = Vec::new();
        while rest.has_remaining() {
            let (number, wire_type) = encoding::decode_key(&mut rest).unwrap();
            if number == wanted && wire_type == WireType::LengthDelimited {
                let mut value = Vec::new();
                encoding::bytes::merge(wire_type, &mut value, &mut rest, DecodeContext::default()).unwrap();
                values.push(value);
            } else {
                encoding::skip_field(wire_type, number, &mut rest, DecodeContext::default()).unwrap();
            }
        }
        values
    }

    pub fn text(&self, answer: &[u8], field: &str) -> String {
        self.values(answer, field).pop().map(|text| String::from_utf8(text).unwrap()).unwrap_or_default()
    }

    /// Names and types of the fields that are neither messages nor repeated.
    pub fn scalars(&self) -> Vec<(String, Type)> {
        let plain = |field: &&prost_types::FieldDescriptorProto| {
            field.r#type() != Type::Message && field.label() != prost_types::field_descriptor_proto::Label::Repeated
        };
        self.input.field.iter().filter(plain).map(|field| (field.name().to_owned(), field.r#type())).collect()
    }

    pub async fn call(&self, channel: &Checked, message: &[u8]) -> Result<Vec<u8>, Status> {
        call(channel, &format!("/tenor.v1.{}", self.name), message.to_vec()).await
    }
}

pub async fn call(channel: &Checked, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    grpc.unary(Request::new(message), path.parse().unwrap(), RawCodec).await.map(tonic::Response::into_inner)
}

/// Sends and receives bytes as they are.
pub struct RawCodec;

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}
