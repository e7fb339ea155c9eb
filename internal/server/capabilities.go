package server

import (
	"context"
	"path/filepath"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/api/kms"
	"github.com/watchbill/watchbill/internal/api/logs"
	"github.com/watchbill/watchbill/internal/api/ssm"
	stsapi "github.com/watchbill/watchbill/internal/api/sts"
	"github.com/watchbill/watchbill/internal/api/watchbill"
	"github.com/watchbill/watchbill/internal/capability/alarm"
	"github.com/watchbill/watchbill/internal/capability/automation"
	"github.com/watchbill/watchbill/internal/capability/bucket"
	"github.com/watchbill/watchbill/internal/capability/command"
	"github.com/watchbill/watchbill/internal/capability/compliance"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/capability/document"
	"github.com/watchbill/watchbill/internal/capability/engage"
	"github.com/watchbill/watchbill/internal/capability/incident"
	"github.com/watchbill/watchbill/internal/capability/inventory"
	"github.com/watchbill/watchbill/internal/capability/key"
	"github.com/watchbill/watchbill/internal/capability/loggroup"
	"github.com/watchbill/watchbill/internal/capability/node"
	"github.com/watchbill/watchbill/internal/capability/opsitem"
	"github.com/watchbill/watchbill/internal/capability/parameter"
	"github.com/watchbill/watchbill/internal/capability/rollout"
	"github.com/watchbill/watchbill/internal/capability/session"
	"github.com/watchbill/watchbill/internal/capability/setting"
	"github.com/watchbill/watchbill/internal/capability/sts"
	"github.com/watchbill/watchbill/internal/capability/tag"
	"github.com/watchbill/watchbill/internal/channel/email"
	"github.com/watchbill/watchbill/internal/channel/inbox"
	"github.com/watchbill/watchbill/internal/channel/topic"
	"github.com/watchbill/watchbill/internal/gateway"
	"github.com/watchbill/watchbill/internal/gateway/plane"
	"github.com/watchbill/watchbill/internal/gateway/relay"
	"github.com/watchbill/watchbill/internal/intake"
	"github.com/watchbill/watchbill/internal/platform/audit"
	"github.com/watchbill/watchbill/internal/platform/authz"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/identity"
	"github.com/watchbill/watchbill/internal/platform/journal"
	"github.com/watchbill/watchbill/internal/platform/lock"
	"github.com/watchbill/watchbill/internal/platform/mailbox"
	"github.com/watchbill/watchbill/internal/platform/tagging"
	"github.com/watchbill/watchbill/internal/platform/task"
	"github.com/watchbill/watchbill/internal/wire"
	"github.com/watchbill/watchbill/internal/wire/shape"
)

// models are the services on the one port.
var models = []*shape.Model{ssm.Model, incidents.Model, contacts.Model, stsapi.Model, watchbill.Model, kms.Model, logs.Model}

// migrations are the schemas of all packages.
var migrations = []db.Migrations{
	Migrations, task.Migrations, journal.Migrations, audit.Migrations, identity.Migrations, tagging.Migrations, mailbox.Migrations, lock.Migrations,
	parameter.Migrations, setting.Migrations, document.Migrations, node.Migrations, command.Migrations, rollout.Migrations, session.Migrations, automation.Migrations,
	key.Migrations, bucket.Migrations, loggroup.Migrations,
	contact.Migrations, engage.Migrations, inbox.Migrations, opsitem.Migrations, incident.Migrations, alarm.Migrations,
	inventory.Migrations, compliance.Migrations,
}

// capabilities are the slices of the product, in the order in which they are made.
type capabilities struct {
	caller     lateCaller
	key        *key.Service
	bucket     *bucket.Service
	loggroup   *loggroup.Service
	setting    *setting.Service
	parameter  *parameter.Service
	tag        *tag.Service
	document   *document.Service
	node       *node.Service
	command    *command.Service
	rollout    *rollout.Service
	session    *session.Service
	lock       *lock.Service
	automation *automation.Service
	contact    *contact.Service
	engage     *engage.Service
	inbox      *inbox.Inbox
	opsitem    *opsitem.Service
	incident   *incident.Service
	alarm      *alarm.Service
	intake     *intake.Service
	intakeFile *intake.File
	sts        *sts.Service
	inventory  *inventory.Service
	compliance *compliance.Service
	relay      *relay.Relay
	gateway    *gateway.Gateway
	plane      *plane.Hub
}

// bindings are the operations of all capabilities. It needs no store: the list of
// operations is made from it too.
func bindings(c *capabilities) (out []wire.Binding) {
	for _, ops := range [][]wire.Binding{
		c.key.Operations(), c.loggroup.Operations(),
		c.setting.Operations(), c.parameter.Operations(), c.tag.Operations(), c.document.Operations(), c.node.Operations(),
		c.command.Operations(), c.rollout.Operations(), c.session.Operations(), c.lock.Operations(), c.automation.Operations(), c.contact.Operations(), c.engage.Operations(), c.sts.Operations(), c.opsitem.Operations(), c.incident.Operations(),
		c.inventory.Operations(), c.compliance.Operations(),
	} {
		out = append(out, ops...)
	}
	return out
}

// openCapabilities makes each on the platform and those below it.
func (h *hub) openCapabilities() (err error) {
	c, p := &h.all, &h.platform
	h.openEndpoints()
	c.setting = setting.New(setting.Service{DB: h.db, Journal: p.journal})
	c.parameter = parameter.New(parameter.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, DefaultTier: h.defaultTier})
	c.tag = tag.New(tag.Service{DB: h.db, Journal: p.journal})
	c.document = document.New(document.Service{
		DB: h.db, Journal: p.journal, Tasks: p.tasks, Blobs: h.blobs, Key: p.linkKey, Object: h.openObject, Web: h.egress().Client(attachmentTimeout),
	})
	c.node = node.New(node.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Mailbox: p.mailbox, Mint: h.mintNode, Revoke: h.revokeNode, KeyAge: h.cfg.NodeKeyAge,
	})
	c.command = command.New(command.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Mailbox: p.mailbox, Nodes: c.node, Documents: h.commandDocument, Sealer: p.sealer, Allow: authz.Require,
		Blobs: h.blobs, Publish: topic.Open(h.path(notifyFile), h.egress().Client(egressTimeout)).Publish,
		Bucket: h.keepObject, Log: h.keepLog,
	})
	c.rollout = rollout.New(rollout.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Commands: c.command, Sealer: p.sealer, Allow: authz.Require})
	c.lock = p.locks
	c.session = session.New(session.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Mailbox: p.mailbox, Nodes: c.node, Documents: h.sessionDocument, Sealer: p.sealer, Blobs: h.blobs, Locks: p.locks,
	})
	c.automation = automation.New(automation.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Sealer: p.sealer, Documents: c.document, Roles: roles{p.identity},
		Caller: &c.caller, Log: h.log, PassRole: h.passRole,
	})
	c.sts = sts.New(sts.Service{DB: h.db, Journal: p.journal, Identity: p.identity})
	c.inventory = inventory.New(inventory.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Nodes: c.node})
	c.compliance = compliance.New(compliance.Service{DB: h.db, Journal: p.journal, Exists: h.nodeExists})
	c.relay = relay.New(relay.Config{Sessions: c.session, Unwrap: h.unwrapDataKey, Logger: h.log})
	c.gateway = gateway.New(gateway.Config{
		Nodes: c.node, Commands: c.command, Sessions: c.session, Relay: c.relay, Mailbox: p.mailbox, Authenticate: p.identity.Authenticate, Authorize: p.authz.Authorize, Observe: h.observe, ReleaseKeys: h.releaseKeys, Logger: h.log,
	})
	c.plane = plane.NewHub(plane.Config{Sessions: c.session, Authenticate: p.identity.Authenticate, Authorize: p.authz.Authorize, Logger: h.log})
	return h.openPeople()
}

// emailFile in the data directory names the mail server; without it pages go to the
// inbox only.
const emailFile = "email.yaml"

// notifyFile in the data directory says where the topics of notifications lead.
const notifyFile = "notify.yaml"

// openPeople makes the capabilities that page and their channels.
func (h *hub) openPeople() (err error) {
	c, p := &h.all, &h.platform
	if c.inbox, err = inbox.New(h.db, p.linkKey); err != nil {
		return err
	}
	mail, err := email.Open(filepath.Join(h.cfg.Data, emailFile), h.egress())
	if err != nil {
		return err
	}
	channels := engage.Channels{Inbox: c.inbox, Email: mail}
	c.contact = contact.New(contact.Service{DB: h.db, Tasks: p.tasks, Journal: p.journal, Codes: channels, Key: p.linkKey})
	c.engage = engage.New(engage.Service{
		DB: h.db, Tasks: p.tasks, Journal: p.journal, Contacts: c.contact, Channels: channels, Key: p.linkKey, StageUnit: h.cfg.StageUnit,
	})
	c.opsitem = opsitem.New(opsitem.Service{DB: h.db, Journal: p.journal})
	h.watchNodes()
	c.incident = incident.New(incident.Service{DB: h.db, Journal: p.journal, Engage: c.engage, OpsItems: c.opsitem, Automations: c.automation})
	h.openIntake()
	return nil
}

// openIntake makes the way in for alarms. A bad file is told in the log; the way in
// opens when it is mended.
func (h *hub) openIntake() {
	c, p := &h.all, &h.platform
	var err error
	c.intakeFile, err = intake.OpenFile(h.path(intakeFile), intake.Scopes{Account: h.cfg.Account, Regions: h.cfg.Regions}, h.log)
	if err != nil {
		h.log.Error("the intake file is not used", "error", err)
	}
	c.alarm = alarm.New(alarm.Service{Journal: p.journal})
	c.intake = intake.New(intake.Service{
		DB: h.db, Journal: p.journal, Alarms: c.alarm, Incidents: intake.IncidentManager{Incidents: c.incident}, OpsItems: intake.OpsCenter{Items: c.opsitem},
		Config: c.intakeFile.Config, Account: h.cfg.Account, Egress: h.egress().Client(egressTimeout), Log: h.log,
	})
}

func (h *hub) defaultTier(tx *db.Tx) (string, error) {
	return h.all.setting.Value(tx, "/ssm/parameter-store/default-parameter-tier")
}

// path is a file in the data directory.
func (h *hub) path(name string) string { return filepath.Join(h.cfg.Data, name) }

// addBackground adds the work of capabilities that goes on all the time.
func (h *hub) addBackground() {
	h.background["gateway"] = h.all.gateway.Run
	h.background["plane"] = h.all.plane.Run
	h.background["relay"] = h.all.relay.Run
	h.background["locks"] = h.all.lock.Run
	h.background["intake"] = h.all.intakeFile.Watch
}

func (h *hub) passRole(ctx context.Context, roleARN string) error {
	return authz.Require(ctx, "iam:PassRole", roleARN)
}
