"""A first call from Python: streams the answer to one question.

    python3 -m venv venv && venv/bin/pip install grpcio grpcio-tools
    venv/bin/python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. proto/banyan/v1/*.proto
    venv/bin/python docs/examples/first_call.py [HOST:PORT]
"""
import sys

import grpc
from banyan.v1 import inference_service_pb2 as pb
from banyan.v1 import inference_service_pb2_grpc as rpc

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7070"
stub = rpc.InferenceServiceStub(grpc.insecure_channel(address))

request = pb.GenerateRequest()
message = request.chat.messages.add(role=pb.CHAT_ROLE_USER)
message.content.add(text="What is the capital of France?")
request.sampling.temperature = 0
request.sampling.max_tokens = 64

for response in stub.Generate(request):
    for sample in response.samples:
        print(sample.text, end="", flush=True)
print()
