//! A graph being written, from the input vector to probabilities and label.

use prost::Message as _;
use tenor_domain::Error;

use super::Options;
use super::proto::{
    AttributeProto, DataType, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

const IR_VERSION: i64 = 9;
const OPSET: i64 = 17;
const ML_DOMAIN: &str = "ai.onnx.ml";
const ML_OPSET: i64 = 3;
/// What one protobuf message may hold.
const MAX_BYTES: usize = i32::MAX as usize;
/// The smallest probability whose logarithm a calibration takes, there and here.
const SMALLEST: f32 = f64::EPSILON as f32;

/// Nodes and constants so far; each is named by its result.
pub(super) struct Graph {
    proto: GraphProto,
}

impl Graph {
    /// The name of the input vector.
    pub const INPUT: &'static str = "features";

    /// A graph whose input vector has `width` numbers; `kind` becomes its name.
    pub fn new(kind: &str, width: usize) -> Self {
        let input = tensor_info(Self::INPUT, DataType::Float, &[width]);
        Self { proto: GraphProto { name: kind.to_owned(), input: vec![input], ..GraphProto::default() } }
    }

    /// Adds an array of finite numbers; `dims` must multiply to their count. Returns `name`.
    pub fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) -> Result<String, Error> {
        if dims.iter().product::<usize>() != values.len() {
            return Err(Error::invalid(name, format!("must hold {dims:?} numbers, got {}", values.len())));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::invalid(name, format!("must hold finite numbers, got {value}")));
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(self.initializer(name, dims, DataType::Float, bytes))
    }

    /// Adds a number.
    fn scalar(&mut self, name: &str, value: f32) -> String {
        self.initializer(name, &[], DataType::Float, value.to_le_bytes().to_vec())
    }

    fn initializer(&mut self, name: &str, dims: &[usize], kind: DataType, raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|size| *size as i64).collect();
        self.proto.initializer.push(TensorProto { dims, data_type: kind as i32, name: name.to_owned(), raw_data });
        name.to_owned()
    }

    /// Adds an operator with one result and returns its name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str) -> String {
        self.node_with(operator, inputs, output, Vec::new())
    }

    fn node_with(&mut self, operator: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> String {
        self.push("", operator, inputs, &[output], attribute);
        output.to_owned()
    }

    /// Adds an operator of `ai.onnx.ml`.
    pub fn ml_node(&mut self, operator: &str, input: &str, output: &str, attribute: Vec<AttributeProto>) -> String {
        self.push(ML_DOMAIN, operator, &[input], &[output], attribute);
        output.to_owned()
    }

    /// Puts the columns of `inputs` side by side.
    fn concat(&mut self, inputs: &[&str], output: &str) -> String {
        self.node_with("Concat", inputs, output, vec![AttributeProto::int("axis", 1)])
    }

    fn softmax(&mut self, input: &str, output: &str) -> String {
        self.node_with("Softmax", &[input], output, vec![AttributeProto::int("axis", 1)])
    }

    fn push(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        self.proto.node.push(NodeProto {
            input: names(inputs),
            output: names(outputs),
            name: outputs.join("_and_"),
            op_type: operator.to_owned(),
            attribute,
            domain: domain.to_owned(),
        });
    }

    /// Turns `scores` into probabilities. One column holds the score of the second of two classes: `[s(-x), s(x)]` with the sigmoid
    /// s, so that neither loses its digits. Else softmax.
    pub fn probabilities_of(&mut self, scores: &str, columns: usize) -> String {
        if columns > 1 {
            return self.softmax(scores, "model_probabilities");
        }
        let negative = self.node("Neg", &[scores], "negative_scores");
        let both = self.concat(&[&negative, scores], "both_scores");
        self.node("Sigmoid", &[&both], "model_probabilities")
    }

    /// The probabilities of all classes; one column holds that of the second of two.
    pub fn completed(&mut self, probabilities: &str, columns: usize) -> String {
        if columns > 1 {
            return probabilities.to_owned();
        }
        let one = self.scalar("one", 1.0);
        let first = self.node("Sub", &[&one, probabilities], "first_probability");
        self.concat(&[&first, probabilities], "model_probabilities")
    }

    /// The whole file, when `probabilities` are those of the model.
    pub fn finish(mut self, probabilities: &str, options: &Options<'_>) -> Result<Vec<u8>, Error> {
        match options.temperature {
            None => {
                self.node("Identity", &[probabilities], "probabilities");
            }
            Some(temperature) => {
                let smallest = self.scalar("smallest", SMALLEST);
                let clipped = self.node("Max", &[probabilities, &smallest], "clipped_probabilities");
                let logarithms = self.node("Log", &[&clipped], "log_probabilities");
                let temperature = self.scalar("temperature", temperature as f32);
                let scaled = self.node("Div", &[&logarithms, &temperature], "calibrated_scores");
                self.softmax(&scaled, "probabilities");
            }
        }
        let first_of_equals = vec![AttributeProto::int("axis", 1), AttributeProto::int("keepdims", 0)];
        self.node_with("ArgMax", &["probabilities"], "label", first_of_equals);
        self.proto.output = vec![
            tensor_info("probabilities", DataType::Float, &[options.classes.len()]),
            tensor_info("label", DataType::Int64, &[]),
        ];
        let opset = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "tenor".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            opset_import: vec![opset("", OPSET), opset(ML_DOMAIN, ML_OPSET)],
            metadata_props: metadata(options)?,
        };
        if model.encoded_len() > MAX_BYTES {
            let text = format!("has {} bytes as ONNX; at most {MAX_BYTES} fit one file", model.encoded_len());
            return Err(Error::invalid("model", text));
        }
        Ok(model.encode_to_vec())
    }
}

/// A value with `N` rows.
fn tensor_info(name: &str, kind: DataType, columns: &[usize]) -> ValueInfoProto {
    let rows = DimensionValue::Name("N".to_owned());
    let columns = columns.iter().map(|size| DimensionValue::Size(*size as i64));
    let dim = std::iter::once(rows).chain(columns).map(|value| Dimension { value: Some(value) }).collect();
    let tensor = TensorTypeProto { elem_type: kind as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.to_owned(), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
}

fn metadata(options: &Options<'_>) -> Result<Vec<StringStringEntryProto>, Error> {
    let json = |names: &[String]| serde_json::to_string(names).map_err(Error::internal);
    let mut entries = vec![("classes", json(options.classes)?)];
    if !options.features.is_empty() {
        entries.push(("features", json(options.features)?));
    }
    if let Some(hash) = options.contract_hash {
        entries.push(("contract_hash", hash.to_string()));
    }
    Ok(entries.into_iter().map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value }).collect())
}
