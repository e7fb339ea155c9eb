package engage

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/api/contacts"
	"github.com/watchbill/watchbill/internal/capability/contact"
	"github.com/watchbill/watchbill/internal/lang/ptr"
	"github.com/watchbill/watchbill/internal/platform/db"
	"github.com/watchbill/watchbill/internal/platform/page"
)

const mostRows = 1024

// position is where a list goes on.
type position struct {
	At int64  `json:"at"`
	ID string `json:"id"`
}

func start(token *string, p any) error {
	if page.Parse(ptr.Value(token), p) != nil {
		return contact.Invalid("NextToken", "the pagination token is not valid")
	}
	return nil
}

// ListEngagements lists engagements, the latest first.
func (s *Service) ListEngagements(ctx context.Context, in *contacts.ListEngagementsInput) (*contacts.ListEngagementsOutput, error) {
	var from position
	if err := start(in.NextToken, &from); err != nil {
		return nil, err
	}
	most := page.Limit(in.MaxResults, mostRows)
	var rows []engagement
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		f := (&db.Filter{}).And("account = ?", tx.Scope.Account).And("region = ?", tx.Scope.Region)
		if in.IncidentId != nil {
			f.And("incident = ?", *in.IncidentId)
		}
		if r := in.TimeRangeValue; r != nil && r.StartTime != nil {
			f.And("started >= ?", db.Micros(*r.StartTime))
		}
		if r := in.TimeRangeValue; r != nil && r.EndTime != nil {
			f.And("started <= ?", db.Micros(*r.EndTime))
		}
		if from.ID != "" {
			f.And("(started < ? or started = ? and id > ?)", from.At, from.At, from.ID)
		}
		rows, err = db.Rows(tx, `select `+engagementColumns+` from engage_engagement`+f.Where()+` order by started desc, id limit `+strconv.Itoa(most+1), f.Args, engagements)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &contacts.ListEngagementsOutput{Engagements: []contacts.Engagement{}}
	for i, e := range rows {
		if i == most {
			out.NextToken = new(page.Token(position{db.Micros(rows[i-1].Started), rows[i-1].ID}))
			break
		}
		out.Engagements = append(out.Engagements, contacts.Engagement{
			ContactArn: new(e.contact()), EngagementArn: new(e.ARN()), IncidentId: ptr.OrNil(e.Incident), Sender: &e.Sender,
			StartTime: ptr.Moment(e.Started), StopTime: ptr.Moment(e.Stopped),
		})
	}
	return out, nil
}

// listPages lists pages by one column, the oldest first.
func (s *Service) listPages(tx *db.Tx, column, value string, token *string, most int) ([]contacts.Page, *string, error) {
	var from position
	if err := start(token, &from); err != nil {
		return nil, nil, err
	}
	f := (&db.Filter{}).And("p.account = ?", tx.Scope.Account).And("p.region = ?", tx.Scope.Region).And("p."+column+" = ?", value)
	if from.ID != "" {
		f.And("(p.created > ? or p.created = ? and p.id > ?)", from.At, from.At, from.ID)
	}
	rows, err := db.Rows(tx, fmt.Sprintf(`select %s from engage_page p%s order by p.created, p.id limit %d`, pageColumns, f.Where(), most+1), f.Args, pages)
	if err != nil {
		return nil, nil, err
	}
	var next *string
	if len(rows) > most {
		rows = rows[:most]
		next = new(page.Token(position{db.Micros(rows[most-1].Created), rows[most-1].ID}))
	}
	out := []contacts.Page{}
	for _, p := range rows {
		e, _, err := loadEngagement(tx, p.Scope, p.Engagement, "")
		if err != nil {
			return nil, nil, err
		}
		out = append(out, contacts.Page{
			ContactArn: new(contactARN(p.Scope, p.Alias)), EngagementArn: new(e.ARN()), IncidentId: ptr.OrNil(e.Incident), PageArn: new(p.ARN()), Sender: &e.Sender,
			SentTime: ptr.Moment(p.Sent), DeliveryTime: ptr.Moment(p.Delivered), ReadTime: ptr.Moment(p.Read),
		})
	}
	return out, next, nil
}

// ListPagesByEngagement lists the pages of an engagement.
func (s *Service) ListPagesByEngagement(ctx context.Context, in *contacts.ListPagesByEngagementInput) (*contacts.ListPagesByEngagementOutput, error) {
	out := &contacts.ListPagesByEngagementOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		e, err := s.findEngagement(tx, *in.EngagementId, "")
		if err != nil {
			return err
		}
		out.Pages, out.NextToken, err = s.listPages(tx, "engagement", e.ID, in.NextToken, page.Limit(in.MaxResults, mostRows))
		return err
	})
	return out, err
}

// ListPagesByContact lists the pages of a person.
func (s *Service) ListPagesByContact(ctx context.Context, in *contacts.ListPagesByContactInput) (*contacts.ListPagesByContactOutput, error) {
	out := &contacts.ListPagesByContactOutput{}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		c, ok, err := s.Contacts.Find(tx, *in.ContactId)
		if err != nil {
			return err
		}
		if !ok || c.Scope != tx.Scope {
			return notFound("CONTACT", *in.ContactId)
		}
		out.Pages, out.NextToken, err = s.listPages(tx, "alias", c.Alias, in.NextToken, page.Limit(in.MaxResults, mostRows))
		return err
	})
	return out, err
}

// DescribePage returns a page with its content.
func (s *Service) DescribePage(ctx context.Context, in *contacts.DescribePageInput) (*contacts.DescribePageOutput, error) {
	var p pageRow
	var e engagement
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if p, err = s.findPage(tx, *in.PageId, ""); err != nil {
			return err
		}
		e, _, err = loadEngagement(tx, p.Scope, p.Engagement, "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &contacts.DescribePageOutput{
		ContactArn: new(contactARN(p.Scope, p.Alias)), EngagementArn: new(e.ARN()), IncidentId: ptr.OrNil(e.Incident), PageArn: new(p.ARN()), Sender: &e.Sender,
		Subject: &e.Subject, Content: &e.Content, PublicSubject: ptr.OrNil(e.PublicSubject), PublicContent: ptr.OrNil(e.PublicContent),
		SentTime: ptr.Moment(p.Sent), DeliveryTime: ptr.Moment(p.Delivered), ReadTime: ptr.Moment(p.Read),
	}, nil
}

// ListPageReceipts lists what is known of a page's way, in the order it became
// known.
func (s *Service) ListPageReceipts(ctx context.Context, in *contacts.ListPageReceiptsInput) (*contacts.ListPageReceiptsOutput, error) {
	var from int
	if err := start(in.NextToken, &from); err != nil {
		return nil, err
	}
	most := page.Limit(in.MaxResults, mostRows)
	out := &contacts.ListPageReceiptsOutput{Receipts: []contacts.Receipt{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		p, err := s.findPage(tx, *in.PageId, "")
		if err != nil {
			return err
		}
		rows, err := listReceipts(tx, p, from, most+1)
		if len(rows) > most {
			rows, out.NextToken = rows[:most], new(page.Token(from+most))
		}
		for _, r := range rows {
			out.Receipts = append(out.Receipts, contacts.Receipt{ContactChannelArn: ptr.OrNil(r.Channel), ReceiptInfo: ptr.OrNil(r.Info), ReceiptTime: new(r.At.Truncate(time.Millisecond)), ReceiptType: r.Type})
		}
		return err
	})
	return out, err
}

// ListPageResolutions shows how the engaged contact led to the person paged.
func (s *Service) ListPageResolutions(ctx context.Context, in *contacts.ListPageResolutionsInput) (*contacts.ListPageResolutionsOutput, error) {
	out := &contacts.ListPageResolutionsOutput{PageResolutions: []contacts.ResolutionContact{}}
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		p, err := s.findPage(tx, *in.PageId, "")
		if err != nil {
			return err
		}
		e, _, err := loadEngagement(tx, p.Scope, p.Engagement, "")
		if err != nil {
			return err
		}
		path := e.State.Path(p.Slot.Run)
		for i, r := range path {
			stage := p.Slot.Stage
			if i+1 < len(path) {
				stage = path[i+1].InStage
			}
			out.PageResolutions = append(out.PageResolutions, contacts.ResolutionContact{ContactArn: new(r.Plan.Contact), StageIndex: new(int32(stage)), Type: contacts.ContactType(r.Plan.Kind)})
		}
		return nil
	})
	return out, err
}
