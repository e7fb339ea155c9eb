package shape_test

import (
	"fmt"
	"testing"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/ssm"
	"github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/wire/shape"
	"github.com/watchbill/watchbill/internal/wire/wiretest"
)

var models = []*shape.Model{ssm.Model, contacts.Model, incidents.Model, sts.Model}

// eachInput runs f for the minimal and the maximal input of every operation.
func eachInput(t *testing.T, f func(t *testing.T, m *shape.Model, op *shape.Operation, in any)) {
	for _, m := range models {
		for i := range m.Operations {
			op := &m.Operations[i]
			for _, full := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/max=%v", m.Service, op.Name, full), func(t *testing.T) {
					in := op.NewInput()
					wiretest.Sample(t, m, op.Input, in, full)
					f(t, m, op, in)
				})
			}
		}
	}
}
