"""Runs an ONNX model from standard input: three sizes (model bytes, rows, columns), the model, the f32 rows.

Prints the output `probabilities` as f32 and then `label` as i64, after onnx.checker has accepted the model.
"""
import json
import struct
import sys

import numpy
import onnx
import onnxruntime

data = sys.stdin.buffer.read()
size, rows, columns = struct.unpack_from("<3Q", data)
model = data[24 : 24 + size]
features = numpy.frombuffer(data, numpy.float32, rows * columns, 24 + size).reshape(rows, columns)

parsed = onnx.load_model_from_string(model)
onnx.checker.check_model(parsed, full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
probabilities, label = session.run(["probabilities", "label"], {"features": features})
assert probabilities.shape == (rows, len(classes)) and probabilities.dtype == numpy.float32, probabilities
assert label.shape == (rows,) and label.dtype == numpy.int64, label
sys.stdout.buffer.write(probabilities.tobytes() + label.tobytes())
