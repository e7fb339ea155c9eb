"""Calls operations through botocore and tells what it read back.

Reads lines of JSON {"service", "operation", "input"} from stdin, calls each
operation twice and writes one line of JSON per call: {"output"} or {"error"}.
"""
import base64
import datetime
import json
import sys

import botocore.config
import botocore.exceptions
import botocore.session


def into(shape, value):
    """Turns JSON values into what botocore takes."""
    kind = shape.type_name
    if kind == "structure":
        return {k: into(shape.members[k], v) for k, v in value.items()}
    if kind == "list":
        return [into(shape.member, v) for v in value]
    if kind == "map":
        return {k: into(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    if kind == "blob":
        return base64.b64decode(value)
    return value


def out_of(value):
    """Turns what botocore gives into JSON values."""
    if isinstance(value, dict):
        return {k: out_of(v) for k, v in value.items()}
    if isinstance(value, list):
        return [out_of(v) for v in value]
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def main():
    url = sys.argv[1]
    session = botocore.session.get_session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    config = botocore.config.Config(retries={"total_max_attempts": 1}, inject_host_prefix=False)
    clients = {}
    for line in sys.stdin:
        ask = json.loads(line)
        name = ask["service"]
        if name not in clients:
            clients[name] = session.create_client(name, region_name="us-east-1", endpoint_url=url, config=config)
        client = clients[name]
        model = client.meta.service_model.operation_model(ask["operation"])
        params = into(model.input_shape, ask["input"]) if model.input_shape else {}
        for _ in range(2):
            try:
                got = client._make_api_call(ask["operation"], params)
                got.pop("ResponseMetadata")
                answer = {"output": out_of(got)}
            except botocore.exceptions.ClientError as e:
                r = e.response
                answer = {"error": [r["Error"]["Code"], r["Error"]["Message"], r["ResponseMetadata"]["HTTPStatusCode"]]}
            print(json.dumps(answer), flush=True)


main()
