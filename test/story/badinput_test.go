package story

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/watchbill/watchbill/internal/wire/sigv4"
	"github.com/watchbill/watchbill/test/hubtest"
)

// bad is a request that must be refused.
type bad struct {
	name   string
	q      hubtest.Request
	status int
	code   string
}

// put is a PutParameter with the given body.
func put(body string) hubtest.Request { return hubtest.JSON("AmazonSSM.PutParameter", body) }

func with(q hubtest.Request, f func(q *hubtest.Request)) hubtest.Request {
	q.Header = q.Header.Clone()
	f(&q)
	return q
}

func header(q hubtest.Request, name, value string) hubtest.Request {
	return with(q, func(q *hubtest.Request) { q.Header.Set(name, value) })
}

const good = `{"Name":"/bad/p","Value":"v","Type":"String"}`

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// wireCases are mistakes in the form of a request.
func wireCases() []bad {
	form := func(body string) hubtest.Request {
		return hubtest.Request{Service: "sts", Credentials: hubtest.Admin, Request: shapeRequest(http.MethodPost, "/", body, "application/x-www-form-urlencoded")}
	}
	rest := func(path, body string) hubtest.Request {
		return hubtest.Request{Service: "ssm-incidents", Credentials: hubtest.Admin, Request: shapeRequest(http.MethodPost, path, body, "application/json")}
	}
	const replication = `{"regions":{"us-east-1":{}}}`
	return []bad{
		{"unsigned", with(put(good), func(q *hubtest.Request) { q.Credentials = sigv4.Credentials{} }), 400, "MissingAuthenticationTokenException"},
		{"expired", with(put(good), func(q *hubtest.Request) { q.Skew = -6 * 60e9 }), 400, "InvalidSignatureException"},
		{"wrong region", with(put(good), func(q *hubtest.Request) { q.Region = "eu-central-1" }), 400, "InvalidSignatureException"},
		{"wrong service", with(put(good), func(q *hubtest.Request) { q.Service = "ssm-contacts" }), 400, "InvalidSignatureException"},
		{"garbled authorization", header(with(put(good), func(q *hubtest.Request) { q.Credentials = sigv4.Credentials{} }), "Authorization", "AWS4-HMAC-SHA256 Credential=x"), 400, "IncompleteSignatureException"},
		{"basic authorization", header(with(put(good), func(q *hubtest.Request) { q.Credentials = sigv4.Credentials{} }), "Authorization", "Basic YTpi"), 400, "IncompleteSignatureException"},
		{"1 MiB and a byte", put(`{"Name":"/bad/p","Type":"String","Value":"` + strings.Repeat("v", 1<<20-43) + `"}`), 413, "RequestEntityTooLargeException"},
		{"1 MiB and a byte, chunked", with(put(`{"Name":"/bad/p","Type":"String","Value":"`+strings.Repeat("v", 1<<20-43)+`"}`), func(q *hubtest.Request) { q.Chunked = true }), 413, "RequestEntityTooLargeException"},
		{"nested deep", put(`{"Name":` + deep(2000) + `}`), 400, "SerializationException"},
		{"nested deep in what is unknown", put(`{"Name":"/bad/p","Value":"v","Other":` + deep(100000) + `}`), 400, "SerializationException"},
		{"member twice", put(`{"Name":"/bad/p","Value":"v","Value":"w","Type":"String"}`), 400, "SerializationException"},
		{"wrong case", put(`{"name":"/bad/p","Value":"v","Type":"String"}`), 400, "SerializationException"},
		{"unknown member", put(`{"Name":"/bad/p","Value":"v","Type":"String","Force":true}`), 400, "SerializationException"},
		{"wrong type", put(`{"Name":"/bad/p","Value":7,"Type":"String"}`), 400, "SerializationException"},
		{"wrong type of a flag", put(`{"Name":"/bad/p","Value":"v","Type":"String","Overwrite":"true"}`), 400, "SerializationException"},
		{"not an object", put(`["Name"]`), 400, "SerializationException"},
		{"no JSON", put(`Name=/bad/p`), 400, "SerializationException"},
		{"two values", put(good + good), 400, "SerializationException"},
		{"cut off", put(good[:20]), 400, "SerializationException"},
		{"empty body", put(""), 400, "ValidationException"},
		{"NUL byte", put("{\"Name\":\"/bad/p\",\"Value\":\"a\x00b\",\"Type\":\"String\"}"), 400, "SerializationException"},
		{"NUL escaped", put(`{"Name":"/bad/p","Value":"a\u0000b","Type":"String"}`), 400, "SerializationException"},
		{"NUL in a name", put(`{"Name":"/bad/p\u0000","Value":"v","Type":"String"}`), 400, "SerializationException"},
		{"invalid UTF-8", put("{\"Name\":\"/bad/p\",\"Value\":\"\xff\xfe\",\"Type\":\"String\"}"), 400, "SerializationException"},
		{"half a surrogate", put(`{"Name":"/bad/p","Value":"\ud800","Type":"String"}`), 400, "SerializationException"},
		{"gzip", header(put(good), "Content-Encoding", "gzip"), 415, "UnsupportedMediaTypeException"},
		{"unknown operation", hubtest.JSON("AmazonSSM.PutParameters", good), 400, "UnknownOperationException"},
		{"other case of an operation", hubtest.JSON("AmazonSSM.putParameter", good), 400, "UnknownOperationException"},
		{"unknown target", hubtest.JSON("AmazonSQS.PutParameter", good), 400, "UnknownOperationException"},
		{"no target", with(put(good), func(q *hubtest.Request) { q.Header.Del("X-Amz-Target") }), 404, "UnknownOperationException"},
		{"GET", with(put(""), func(q *hubtest.Request) { q.Method = http.MethodGet }), 405, "MethodNotAllowed"},
		{"PUT", with(put(good), func(q *hubtest.Request) { q.Method = http.MethodPut }), 405, "MethodNotAllowed"},
		{"sts: unknown action", form("Action=GetCaller&Version=2011-06-15"), 400, "InvalidAction"},
		{"sts: other version", form("Action=GetCallerIdentity&Version=2012-01-01"), 400, "InvalidAction"},
		{"sts: action twice", form("Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15"), 400, "MalformedInput"},
		{"sts: required member missing", form("Action=AssumeRole&Version=2011-06-15"), 400, "ValidationError"},
		{"incidents: unknown path", rest("/createReplicationSets", replication), 404, "UnknownOperationException"},
		{"incidents: unknown member", rest("/createReplicationSet", `{"regions":{"us-east-1":{}},"x":1}`), 400, "SerializationException"},
		{"incidents: required member missing", rest("/createReplicationSet", `{}`), 400, "ValidationException"},
		{"incidents: member twice", rest("/createReplicationSet", `{"regions":{},"regions":{"us-east-1":{}}}`), 400, "SerializationException"},
		{"incidents: unknown query", with(rest("/createReplicationSet", replication), func(q *hubtest.Request) { q.Query = url.Values{"x": {"1"}} }), 400, "SerializationException"},
		{"contacts: wrong case", hubtest.JSON("SSMContacts.CreateContact", `{"alias":"a","Type":"PERSONAL","Plan":{"Stages":[]}}`), 400, "SerializationException"},
	}
}

// parameterCases break each constraint of parameters.
func parameterCases() []bad {
	long := strings.Repeat("a", 2050)
	levels := strings.Repeat("/l", 16)
	return []bad{
		{"no name", put(`{"Value":"v","Type":"String"}`), 400, "ValidationException"},
		{"no value", put(`{"Name":"/bad/p","Type":"String"}`), 400, "ValidationException"},
		{"no type", put(`{"Name":"/bad/p","Value":"v"}`), 400, "ValidationException"},
		{"type unknown", put(`{"Name":"/bad/p","Value":"v","Type":"Text"}`), 400, "ValidationException"},
		{"name too long", put(`{"Name":"/` + long + `","Value":"v","Type":"String"}`), 400, "ValidationException"},
		{"name with a space", put(`{"Name":"/bad p","Value":"v","Type":"String"}`), 400, "ValidationException"},
		{"name without the first slash", put(`{"Name":"bad/p","Value":"v","Type":"String"}`), 400, "ValidationException"},
		{"name of the service", put(`{"Name":"/ssm/p","Value":"v","Type":"String"}`), 400, "ValidationException"},
		{"name below aws", put(`{"Name":"/aws/p","Value":"v","Type":"String"}`), 400, "AccessDeniedException"},
		{"too many levels", put(`{"Name":"` + levels + `","Value":"v","Type":"String"}`), 400, "HierarchyLevelLimitExceededException"},
		{"value empty", put(`{"Name":"/bad/p","Value":"","Type":"String"}`), 400, "ValidationException"},
		{"value over 4 KB", put(`{"Name":"/bad/p","Value":"` + strings.Repeat("v", 4097) + `","Type":"String"}`), 400, "ValidationException"},
		{"value over 8 KB", put(`{"Name":"/bad/p","Value":"` + strings.Repeat("v", 8193) + `","Type":"String","Tier":"Advanced"}`), 400, "ValidationException"},
		{"exists", put(`{"Name":"/red/plain","Value":"v","Type":"String"}`), 400, "ParameterAlreadyExists"},
		{"exists, other type", put(`{"Name":"/red/plain","Value":"v","Type":"SecureString","Overwrite":true}`), 400, "HierarchyTypeMismatchException|ValidationException"},
		{"pattern not met", put(`{"Name":"/bad/p","Value":"v","Type":"String","AllowedPattern":"^[0-9]+$"}`), 400, "ParameterPatternMismatchException"},
		{"pattern broken", put(`{"Name":"/bad/p","Value":"v","Type":"String","AllowedPattern":"[0-9"}`), 400, "InvalidAllowedPatternException"},
		{"policy of no kind", put(`{"Name":"/bad/p","Value":"v","Type":"String","Tier":"Advanced","Policies":"[{\"Type\":\"X\",\"Version\":\"1.0\",\"Attributes\":{}}]"}`), 400, "InvalidPolicyTypeException"},
		{"policy broken", put(`{"Name":"/bad/p","Value":"v","Type":"String","Tier":"Advanced","Policies":"[{"}`), 400, "InvalidPolicyAttributeException|ValidationException"},
		{"tags with overwrite", put(`{"Name":"/red/plain","Value":"v","Type":"String","Overwrite":true,"Tags":[{"Key":"a","Value":"b"}]}`), 400, "ValidationException"},
		{"tag of the service", put(`{"Name":"/bad/p","Value":"v","Type":"String","Tags":[{"Key":"aws:a","Value":"b"}]}`), 400, "ValidationException|InvalidTag.*"},
		{"tag twice", put(`{"Name":"/bad/p","Value":"v","Type":"String","Tags":[{"Key":"a","Value":"b"},{"Key":"a","Value":"c"}]}`), 400, "ValidationException"},
		{"data type unknown", put(`{"Name":"/bad/p","Value":"v","Type":"String","DataType":"aws:x"}`), 400, "ValidationException"},
		{"key for plain text", put(`{"Name":"/bad/p","Value":"v","Type":"String","KeyId":"alias/x"}`), 400, "ValidationException"},
		{"label that begins with a digit", hubtest.JSON("AmazonSSM.LabelParameterVersion", `{"Name":"/red/plain","Labels":[]}`), 400, "ValidationException"},
		{"label of another's version", hubtest.JSON("AmazonSSM.LabelParameterVersion", `{"Name":"/red/plain","ParameterVersion":9,"Labels":["a"]}`), 400, "ParameterVersionNotFound"},
		{"delete what is not there", hubtest.JSON("AmazonSSM.DeleteParameter", `{"Name":"/bad/none"}`), 400, "ParameterNotFound"},
		{"eleven names", hubtest.JSON("AmazonSSM.DeleteParameters", `{"Names":["a","b","c","d","e","f","g","h","i","j","k"]}`), 400, "ValidationException"},
		{"page token of nobody", hubtest.JSON("AmazonSSM.DescribeParameters", `{"NextToken":"x"}`), 400, "InvalidNextToken"},
		{"page of 51", hubtest.JSON("AmazonSSM.DescribeParameters", `{"MaxResults":51}`), 400, "ValidationException"},
	}
}
