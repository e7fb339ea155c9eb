"""Print requests signed by botocore, one JSON object a line; skips by exit 3."""
import json
import sys

try:
    import botocore.session
    from botocore.auth import SigV4Auth, SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials
except ImportError:
    sys.exit(3)

KEY, SECRET, TOKEN = sys.argv[1:4]
REGION, HUB = "eu-west-1", "https://hub:8443"


class Caught(Exception):
    pass


def show(name, service, request):
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    headers = [[k, v.decode() if isinstance(v, bytes) else v] for k, v in request.headers.items()]
    print(json.dumps({"name": name, "service": service, "method": request.method, "url": request.url, "headers": headers, "body": body.decode()}))


def call(service, operation, **kwargs):
    """Take the request of a real client just before it is sent."""
    for token in (None, TOKEN):
        session = botocore.session.Session()
        client = session.create_client(service, region_name=REGION, endpoint_url=HUB, aws_access_key_id=KEY,
                                       aws_secret_access_key=SECRET, aws_session_token=token, config=Config(retries={"max_attempts": 0}))

        def send(request, **_):
            show(f"{service} {operation} {'session' if token else 'key'}", service, request)
            raise Caught

        client.meta.events.register("before-send", send)
        try:
            getattr(client, operation)(**kwargs)
        except Caught:
            pass


call("ssm", "get_parameter", Name="/a/b c/€", WithDecryption=True)
call("ssm", "put_parameter", Name="x", Value="line\nline ü", Type="String")
call("ssm", "send_command", DocumentName="AWS-RunShellScript", InstanceIds=["mi-0123456789abcdef0"], Parameters={"commands": ["echo hi"]})
call("ssm-contacts", "list_contacts")
call("ssm-incidents", "list_tags_for_resource", resourceArn="arn:aws:ssm-incidents::123456789012:response-plan/web")
call("ssm-incidents", "untag_resource", resourceArn="arn:aws:ssm-incidents::123456789012:response-plan/we b", tagKeys=["b+c", "a/ü", "z=1&2"])
call("ssm-incidents", "get_replication_set", arn="arn:aws:ssm-incidents::123456789012:replication-set/1")
call("ssm-incidents", "start_incident", responsePlanArn="arn:aws:ssm-incidents::123456789012:response-plan/web", title="tä")
call("sts", "get_caller_identity")
call("sts", "assume_role", RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="s1", Policy='{"a b":"c+d"}')

for token in (None, TOKEN):
    request = AWSRequest("GET", HUB + "/a%2Fb/c%20d?x=1%202&y=%2F", headers={"X-Amz-Meta": "a   b"})
    SigV4Auth(Credentials(KEY, SECRET, token), "ssm-incidents", REGION).add_auth(request)
    show("odd path", "ssm-incidents", request.prepare())
    request = AWSRequest("GET", HUB + "/", params={"Action": "GetCallerIdentity", "Version": "2011-06-15"})
    SigV4QueryAuth(Credentials(KEY, SECRET, token), "sts", REGION, expires=600).add_auth(request)
    show("presigned", "sts", request.prepare())
