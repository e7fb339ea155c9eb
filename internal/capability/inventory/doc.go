// Package inventory keeps what nodes say is on them: PutInventory, GetInventory,
// ListInventoryEntries, GetInventorySchema, DeleteInventory and
// DescribeInventoryDeletions.
//
// A node has one item of each type, which its next one replaces. An item whose
// content did not change comes with the hash of its content alone; if that is not the
// hash of the item that is kept, the node is told with ItemContentMismatchException
// and sends all of it. Two types are not kept but made from the node itself:
// AWS:InstanceInformation and AWS:Tag.
//
// The items of a deregistered node are kept for 30 days.
//
// Facts: inventory.updated, inventory.deleted.
package inventory
