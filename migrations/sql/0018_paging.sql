-- Where the next page of a catalogue begins, as the channel's connector has it; '' at its first. A process that is
-- killed while it reads pages costs the page that it was at.
alter table channel_import add column position text not null default '';
