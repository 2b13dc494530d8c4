"""What can be sold of what a number counts: units by location, of an item or of a kit's scarcest component."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from app.core.db import Session

# Units by owner and location; a kit has what its scarcest component allows there.
_AVAILABLE = """
select o.owner_id, c.location_id,
       case i.kind when 'kit' then (
            select coalesce(greatest(0, min(floor(coalesce(l.available, 0)::numeric / k.quantity))), 0)::bigint
            from kit_component k left join level l on l.merchant_id = k.merchant_id and l.item_id = k.component_item_id
                                                  and l.location_id = c.location_id
            where k.merchant_id = o.merchant_id and k.kit_item_id = o.item_id)
       else coalesce((select l.available from level l where l.merchant_id = o.merchant_id and l.item_id = o.item_id
                      and l.location_id = c.location_id), 0) end as units
from stock_owner o
join item i on i.merchant_id = o.merchant_id and i.item_id = o.item_id
join channel_location c on c.merchant_id = o.merchant_id and c.channel_id = o.channel_id and c.location_key =
    o.location_key
where o.merchant_id = %(merchant_id)s and o.owner_id = any(%(owners)s)
  and (o.location_ids is null or c.location_id = any(o.location_ids))
"""


def read_available_by_owner(session: Session, owners: Sequence[int]) -> defaultdict[int, dict[int, int]]:
    """Units by location id, by owner id."""
    available: defaultdict[int, dict[int, int]] = defaultdict(dict)
    if owners:
        for row in session.rows(_AVAILABLE, owners=list(owners)):
            available[row.owner_id][row.location_id] = row.units
    return available
