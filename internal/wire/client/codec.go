package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/watchbill/watchbill/internal/wire/shape"
)

// encode makes the request of a call.
func (k *call) encode(in any) (*shape.Request, error) {
	if k.op == nil {
		return k.encodeUnknown(in)
	}
	typed, err := k.typed(in)
	if err != nil {
		return nil, err
	}
	return shape.EncodeInput(k.model, k.op, typed)
}

// typed is in as the generated input, read out of its JSON where it is another type.
func (k *call) typed(in any) (any, error) {
	typed := k.op.NewInput()
	switch v := reflect.ValueOf(in); {
	case in == nil || v.Kind() == reflect.Pointer && v.IsNil():
		return typed, nil
	case v.Type() == reflect.TypeOf(typed):
		return in, nil
	}
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return typed, shape.DecodeJSON(k.model, k.op.Input, text, typed)
}

// encodeUnknown makes the request of an operation that the model of a JSON service
// does not have, such as those of nodes.
func (k *call) encodeUnknown(in any) (*shape.Request, error) {
	if k.model.Protocol != shape.ProtocolJSON {
		return nil, fmt.Errorf("the service has no operation %s", k.operation)
	}
	if in == nil {
		in = struct{}{}
	}
	body, err := json.Marshal(in)
	return &shape.Request{Method: http.MethodPost, Path: "/", Body: body, Header: http.Header{
		"Content-Type": {"application/x-amz-json-" + k.model.JSONVersion}, "X-Amz-Target": {k.model.TargetPrefix + "." + k.operation},
	}}, err
}

// decode reads an answer into out.
func (k *call) decode(r *shape.Response, out any) error {
	if out == nil {
		return nil
	}
	if k.op == nil {
		return json.Unmarshal(r.Body, out)
	}
	typed, err := shape.DecodeOutput(k.model, k.op, r)
	if err != nil {
		return err
	}
	if reflect.TypeOf(out) == reflect.TypeOf(typed) {
		reflect.ValueOf(out).Elem().Set(reflect.ValueOf(typed).Elem())
		return nil
	}
	text, err := shape.EncodeJSON(k.model, k.op.Output, typed)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// fault is the error that an answer stands for.
func (k *call) fault(r *shape.Response) error {
	f := shape.DecodeError(k.model, r)
	return &Error{Code: f.ErrorCode(), Message: f.ErrorMessage(), Status: r.Status, RequestID: r.Header.Get("X-Amzn-Requestid")}
}
