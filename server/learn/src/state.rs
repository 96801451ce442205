//! Arrays as the bytes of a file that only this program reads: checkpoints and feature blocks.
//!
//! Safetensors, then SHA-256 of them. A file that is cut or changed is no state at all.

use safetensors::SafeTensors;
use safetensors::tensor::serialize;
use tenor_domain::{Digest, Error};
use tenor_features::arrays::Arrays;

use crate::file::bytes::{Tensor, read_array};

const DIGEST_BYTES: usize = 32;

/// The bytes of `state`.
pub fn to_bytes(state: &Arrays) -> Result<Vec<u8>, Error> {
    let bytes = serialize(state.iter().map(|(name, array)| (name, Tensor::new(array))), None);
    let mut bytes = bytes.map_err(|error| Error::internal(format!("cannot write the state: {error}")))?;
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// Reads what [`to_bytes`] wrote; `None` for anything else.
pub fn from_bytes(bytes: &[u8]) -> Option<Arrays> {
    let (body, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    if Digest::of(body).as_bytes() != digest {
        return None;
    }
    let mut state = Arrays::default();
    for (name, tensor) in SafeTensors::deserialize(body).ok()?.iter() {
        state.insert(name, read_array(tensor.dtype(), tensor.data())?);
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use tenor_features::arrays::Array;

    use super::*;

    #[test]
    fn a_state_survives_its_bytes_and_a_damaged_one_is_none() {
        let mut state = Arrays::default();
        state.insert("a", Array::F64(vec![0.1, f64::INFINITY]));
        state.insert("b", Array::U8(vec![1, 2, 3]));
        let bytes = to_bytes(&state).unwrap();
        assert_eq!(from_bytes(&bytes), Some(state));
        for length in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..length]), None);
        }
        for at in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[at] ^= 4;
            assert_eq!(from_bytes(&turned), None);
        }
    }
}
