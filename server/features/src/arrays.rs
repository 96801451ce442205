//! Named arrays: how fitted parts go into a model file and come back.

use std::collections::BTreeMap;

use tenor_domain::Error;

/// The numbers of one array.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    U8(Vec<u8>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Array {
    pub fn len(&self) -> usize {
        match self {
            Self::U8(data) => data.len(),
            Self::U64(data) => data.len(),
            Self::F32(data) => data.len(),
            Self::F64(data) => data.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Arrays by name, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arrays(BTreeMap<String, Array>);

macro_rules! getters {
    ($($name:ident $variant:ident $type:ty;)*) => {$(
        /// The array `name`; an error when it is missing or of another type.
        pub fn $name(&self, name: &str) -> Result<&[$type], Error> {
            match self.get(name)? {
                Array::$variant(data) => Ok(data),
                _ => Err(broken(name, concat!("must hold numbers of type ", stringify!($type)))),
            }
        }
    )*};
}

impl Arrays {
    pub fn insert(&mut self, name: impl Into<String>, array: Array) {
        self.0.insert(name.into(), array);
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.0.iter().map(|(name, array)| (name.as_str(), array))
    }
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
    /// Values of all arrays together.
    pub fn total_len(&self) -> usize {
        self.0.values().map(Array::len).sum()
    }
    fn get(&self, name: &str) -> Result<&Array, Error> {
        self.0.get(name).ok_or_else(|| broken(name, "is missing"))
    }
    getters! {
        u8s U8 u8;
        u64s U64 u64;
        f32s F32 f32;
        f64s F64 f64;
    }
    /// The one number of the array `name`.
    pub fn f64(&self, name: &str) -> Result<f64, Error> {
        match self.f64s(name)? {
            [value] => Ok(*value),
            _ => Err(broken(name, "must hold one number")),
        }
    }
    /// The one number of the array `name`.
    pub fn u64(&self, name: &str) -> Result<u64, Error> {
        match self.u64s(name)? {
            [value] => Ok(*value),
            _ => Err(broken(name, "must hold one number")),
        }
    }
    /// Stores `texts` as one blob and the offset of each text's end.
    pub fn insert_texts<'a>(&mut self, name: &str, texts: impl Iterator<Item = &'a str>) {
        let (mut blob, mut ends) = (Vec::new(), Vec::new());
        for text in texts {
            blob.extend_from_slice(text.as_bytes());
            ends.push(blob.len() as u64);
        }
        self.insert(format!("{name}.ends"), Array::U64(ends));
        self.insert(format!("{name}.bytes"), Array::U8(blob));
    }
    /// Reads what [`insert_texts`](Self::insert_texts) stored.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>, Error> {
        let blob = std::str::from_utf8(self.u8s(&format!("{name}.bytes"))?);
        let blob = blob.map_err(|_| broken(name, "is not UTF-8"))?;
        let mut start = 0;
        let mut texts = Vec::new();
        for &end in self.u64s(&format!("{name}.ends"))? {
            let end = usize::try_from(end).map_err(|_| broken(name, "has an offset past its end"))?;
            let text = blob.get(start..end);
            texts.push(text.ok_or_else(|| broken(name, "has offsets that do not ascend within it"))?);
            start = end;
        }
        if start != blob.len() {
            return Err(broken(name, "has bytes after its last text"));
        }
        Ok(texts)
    }
}

/// An error about the array `name` of a model file.
pub fn broken(name: &str, what: &str) -> Error {
    Error::new(
        tenor_domain::ErrorKind::FailedPrecondition,
        "BROKEN_MODEL_FILE",
        format!("array `{name}` {what}; the model file is damaged or not of this kind"),
    )
}
