//! Model files to bytes and back.

use std::borrow::Cow;
use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, View, serialize};
use sha2::{Digest as _, Sha256};
use tenor_domain::{Digest, Error, ErrorKind};
use tenor_features::arrays::{Array, Arrays};

use super::{Header, ModelFile, broken};

/// The metadata entry that holds the header.
const ENTRY: &str = "tenor";

/// The digest stands before the header, as text, so that it covers the header's exact bytes.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<H> {
    digest: Digest,
    header: H,
}

impl ModelFile {
    /// The file's bytes; the same file always gives the same. An error when a metric is not a finite number, or the limits
    /// are passed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        if let Some((key, value)) = self.header.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::invalid(
                format!("metrics.{key}"),
                format!("must be finite in a model file, got {value}"),
            ));
        }
        let header = serde_json::to_string(&self.header).map_err(Error::internal)?;
        if header.len() > Self::MAX_HEADER_BYTES / 2 {
            return Err(Error::invalid(
                "header",
                format!("has {} bytes; leave out params, notes or metrics", header.len()),
            ));
        }
        let digest = digest(&header, &self.arrays);
        let entry = format!("{{\"digest\":\"{digest}\",\"header\":{header}}}");
        let metadata = HashMap::from([(ENTRY.to_owned(), entry)]);
        let bytes = serialize(self.arrays.iter().map(|(name, array)| (name, Tensor::new(array))), Some(metadata));
        let bytes = bytes.map_err(|error| Error::internal(format!("cannot write the model file: {error}")))?;
        if bytes.len() > Self::MAX_BYTES {
            return Err(Error::invalid(
                "model",
                format!("has {} bytes; the limit is {}", bytes.len(), Self::MAX_BYTES),
            ));
        }
        Ok(bytes)
    }

    /// Reads a file; see the module for what is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(broken(format!("has {} bytes, more than {}", bytes.len(), Self::MAX_BYTES)));
        }
        let length = bytes.first_chunk().map_or(u64::MAX, |length| u64::from_le_bytes(*length));
        if length > Self::MAX_HEADER_BYTES as u64 {
            return Err(broken("is not a model file, or its start is damaged"));
        }
        let unreadable = |error| broken(format!("is cut or damaged ({error})"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let entry = entry.ok_or_else(|| broken("was not written by tenor: it has no header"))?;
        check_format(entry)?;
        let parsed: Entry<Header> =
            serde_json::from_str(entry).map_err(|error| broken(format!("has a damaged header ({error})")))?;
        let mut arrays = Arrays::default();
        for (name, tensor) in SafeTensors::deserialize(bytes).map_err(unreadable)?.iter() {
            let array = read_array(tensor.dtype(), tensor.data());
            arrays.insert(name, array.ok_or_else(|| broken(format!("has an array `{name}` of unknown type")))?);
        }
        let file = Self { header: parsed.header, arrays };
        // Writing it again finds what no checksum covers: other spacing, other order, entries that nobody reads. The digest
        // is part of what is compared.
        if file.to_bytes().map_err(|error| broken(format!("has a damaged header ({error})")))? != bytes {
            return Err(broken("does not agree with its checksum"));
        }
        let header = &file.header;
        header.contract.validate().map_err(|error| broken(format!("holds a contract that cannot be used: {error}")))?;
        if header.contract.hash() != header.contract_hash {
            return Err(broken("does not agree with the hash of its feature contract"));
        }
        Ok(file)
    }
}

/// A newer layout gets its own message, before anything else about the header can fail.
fn check_format(entry: &str) -> Result<(), Error> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    #[derive(serde::Deserialize)]
    struct Only {
        header: Format,
    }
    match serde_json::from_str::<Only>(entry) {
        Ok(Only { header: Format { format } }) if format > ModelFile::FORMAT => Err(Error::new(
            ErrorKind::FailedPrecondition,
            "NEWER_MODEL_FILE",
            format!("the model file has format {format}, this build reads {}; use a newer tenor", ModelFile::FORMAT),
        )),
        Ok(Only { header: Format { format: ModelFile::FORMAT } }) => Ok(()),
        Ok(_) | Err(_) => Err(broken("has a damaged header")),
    }
}

fn digest(header: &str, arrays: &Arrays) -> Digest {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(header.as_bytes());
    for (name, array) in arrays.iter() {
        let tensor = Tensor::new(array);
        add(name.as_bytes());
        add(format!("{:?}", tensor.dtype()).as_bytes());
        add(&tensor.data());
    }
    Digest::from_bytes(hash.finalize().into())
}

/// An array as the safetensors crate takes it.
pub(crate) struct Tensor<'a> {
    array: &'a Array,
    shape: [usize; 1],
}

impl<'a> Tensor<'a> {
    pub fn new(array: &'a Array) -> Self {
        Self { array, shape: [array.len()] }
    }
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.array {
            Array::U8(_) => Dtype::U8,
            Array::U64(_) => Dtype::U64,
            Array::F32(_) => Dtype::F32,
            Array::F64(_) => Dtype::F64,
        }
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        match self.array {
            Array::U8(data) => Cow::Borrowed(data),
            Array::U64(data) => Cow::Owned(data.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Array::F32(data) => Cow::Owned(data.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Array::F64(data) => Cow::Owned(data.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }
    }
    fn data_len(&self) -> usize {
        let size = match self.array {
            Array::U8(_) => 1,
            Array::F32(_) => 4,
            Array::U64(_) | Array::F64(_) => 8,
        };
        self.array.len() * size
    }
}

pub(crate) fn read_array(dtype: Dtype, data: &[u8]) -> Option<Array> {
    Some(match dtype {
        Dtype::U8 => Array::U8(data.to_vec()),
        Dtype::U64 => Array::U64(data.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()),
        Dtype::F32 => Array::F32(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F64 => Array::F64(data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()),
        _ => return None,
    })
}
