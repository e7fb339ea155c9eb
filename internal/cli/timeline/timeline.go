// Package timeline fetches the timeline of an incident through the public API and
// tells it in lines for people.
package timeline

import (
	"context"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/api/incidents"
	"github.com/watchbill/watchbill/internal/lang/timeline"
	"github.com/watchbill/watchbill/internal/wire/client"
)

// Lines is the timeline of an incident, oldest first, with times in zone.
func Lines(ctx context.Context, c *client.Client, incident string, zone *time.Location) ([]string, error) {
	var events []timeline.Event
	in := &incidents.ListTimelineEventsInput{IncidentRecordArn: &incident, SortBy: incidents.TimelineEventSortEventTime, SortOrder: incidents.SortOrderAscending}
	for {
		var page incidents.ListTimelineEventsOutput
		if err := c.Call(ctx, "ssm-incidents", "ListTimelineEvents", in, &page); err != nil {
			return nil, err
		}
		for _, s := range page.EventSummaries {
			e, err := event(ctx, c, incident, s)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return strings.Split(strings.TrimSpace(timeline.Render(events, zone)), "\n"), nil
		}
	}
}

func event(ctx context.Context, c *client.Client, incident string, s incidents.EventSummary) (timeline.Event, error) {
	var out incidents.GetTimelineEventOutput
	err := c.Call(ctx, "ssm-incidents", "GetTimelineEvent", &incidents.GetTimelineEventInput{IncidentRecordArn: &incident, EventId: s.EventId}, &out)
	if err != nil {
		return timeline.Event{}, err
	}
	return timeline.Event{At: *out.Event.EventTime, Type: *out.Event.EventType, Data: *out.Event.EventData}, nil
}
