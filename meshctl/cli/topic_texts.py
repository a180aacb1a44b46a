"""The longer help topics: events and what makes them, virtual MCPs, pinned tools."""

EVENTS = """\
Events are CloudEvents 1.0. meshctl tail-events follows them until Ctrl-C, across restarts of the
daemon, without losing one: meshseq is the cursor.

  meshctl tail-events --since 1h            begin an hour ago
  meshctl tail-events --filter 'type=mesh.*'
  meshctl tail-events --json --no-follow    what is there, one JSON object a line

Calls are no events: meshctl call tail follows those. What happens to the mesh itself is an event
mesh.*, each type with its data in meshctl help system-events.

Publish one from a shell, or over HTTP as a CloudEvent to /events/ORG with a key that has
self/event.publish; up to 100 as application/cloudevents-batch+json, all of them or none. When the
answer comes, the event and its deliveries are on disk. The same --id
twice is one event. Another --source than your own needs self/event.publish_as, which no * covers;
types mesh.* are meshctl's.

  meshctl event publish order.made --data '{"no": 17}' --id order-17

A subscription gets each event that matches at least once; in no order:

  meshctl subscription add --type 'order.*' --connection erp         its tool ON_EVENTS
  meshctl subscription add --type order.made --call erp/bill --args '{"no": "{{ event.data.no }}"}'
  meshctl subscription add --type '*' --webhook https://hooks.example/in --filter 'subject=eu-*'

--call takes a tool of a virtual MCP as well, by its name there. A subscription runs with the rights
of who made it, and pauses with a reason when these are gone. --filter takes
CloudEvents filters (exact, prefix, suffix, all, any, not) as JSON too. Webhooks are signed as
Standard Webhooks has it; redirects are failures, 410 pauses the subscription.

What fails is tried 20 times, after 1 s, 2 s, 4 s … at most an hour, give or take a fifth; a
Retry-After, or retryAfter (ms) of ON_EVENTS, is followed for a day without using up tries. Then it
is dead, and kept for 30 days. What could not be delivered for MESHCTL_KEEP_WAITING is expired, and
kept like it; either way an event mesh.delivery.dead tells of it:

  meshctl delivery list --state dead        or: meshctl event dead list
  meshctl delivery show ID                  each attempt
  meshctl event dead retry ID               or --all
  meshctl event replay ID                   deliver it to everybody again, within a day
  meshctl event stats
  meshctl tui                               b turns to the bus; a, d and p retry, drop and replay"""

SCHEDULES = """\
A schedule publishes an event at each slot of a cron pattern in a time zone, as who made it:

  meshctl schedule add nightly --type report.due --cron '0 3 * * *' --tz Europe/Berlin
  meshctl schedule next nightly --count 3
  meshctl event publish tick --cron '*/5 * * * *'     without a name; said twice, it is one

Patterns have five fields (minute, hour, day, month, weekday), or six with seconds first, or are
@hourly, @daily, @weekly, @monthly or @yearly. L is the last day of a month, 5#2 the second Friday,
L5 the last one. If both the day and the weekday are said, either will do.

Where the hour is said (3, 1-5), a slot is a time of day, once a day: if the clocks skip it, at the
first moment after the gap; if they show it twice, the first time alone. Where the hour is * or
*/N, slots come as the clock runs: skipped ones never, doubled ones twice.

Each slot is fired once, however many daemons there are. A slot that is more than a minute late was
missed: --misfire once (the default) fires one event for all that were missed, with their number in
meshmissed; skip fires none of them; all fires each, up to 1,000. What else is passed over is told
in an event mesh.schedule.missed.

What a schedule fires counts among the events that its org may publish in a second. A slot that the
limit does not let pass is not lost: it fires as soon as it may, once, which an event
mesh.schedule.held says; after a minute it was missed, as above.

If what was fired before is not delivered yet, --overlap allow (the default) fires all the same,
skip passes the slot over, and queue lets one wait, which stands for those that come meanwhile.
What waits for a paused subscription holds nothing back.

When its maker may not publish any more, a schedule pauses with the reason, until somebody takes it
over with schedule edit NAME --owner me; it runs with their rights then. A paused one makes up
for nothing; resumed, it goes on with the next slot from then.

To publish once at a later time: meshctl event publish TYPE --at 10m, and event cancel ID.
"""

WEBHOOKS = """\
Other services send their events to a URL of their own, and sign them instead of showing a key:

  pbpaste | meshctl webhook add github --signature github --from-stdin

  github    X-Hub-Signature-256; the event is X-GitHub-Event, its id X-GitHub-Delivery
  stripe    Stripe-Signature; the secret is whsec_… whole
  slack     X-Slack-Signature; the check of the URL is answered
  standard  Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature; whsec_ and base64

The event's type is NAME.EVENT, as github.push, unless --type says another; its source is
webhook:NAME. What the sender sends twice under one id is published once. All but GitHub sign time
and id as well: more than five minutes off is refused.

The answer is 202 once the event and its deliveries are on disk, 401 for a wrong signature, 404 for
a webhook that is paused or not there, 429 with Retry-After for too much; a body has up to 256 KiB.
Too much is 6,000 a minute that are signed right: what others send there uses up nothing. An address
that sends 60 a minute that are not is turned away for a while, unless it is a proxy's or this
machine's, which many may share.
Events are published with the rights of who made the webhook; when these are gone, it pauses until
somebody takes it over with webhook edit NAME --owner me.

webhook rotate gives it another secret; the one before counts for another day (--keep 2h).
The daemon has to be reached from outside: BASE_URL says by which name (meshctl help environment).
"""

VIRTUALS = """\
A virtual MCP serves several connections, and other virtual MCPs, as one MCP server at /mcp/NAME.
Connections and virtual MCPs share their names, and grants name both alike.

  meshctl virtual create work github jira   with all of their tools
  meshctl virtual attach work slack --tools 'send_*' --no-resources --no-prompts
  meshctl virtual show work
  meshctl key add ide --allow work

Patterns are over the names that the child itself uses; * is any run of characters. Attaching again
changes what is said and leaves the rest. In the list a tool is called CHILD_TOOL; --naming plain
leaves the prefix out, and is refused where two tools would have one name. A name that two come to
list stays with who had it; where that is not known, as after a restart, it is withheld from both.
A URI stays with who came first, among those that you may use; a template that begins with an
expression, as {+all}, is withheld where another child has templates. A URI with a .. in it comes of
no template, and in grants only a lone * or its own spelling covers it.

A tool can be shown and called otherwise, without touching its server:

  meshctl virtual attach work github --rename create_issue=file_bug
  meshctl virtual attach work github --describe create_issue='Files a bug of ours.'
  meshctl virtual attach work github --pin 'create_issue.repo="acme/site"' \\
      --hide create_issue.labels
  meshctl virtual attach work github --reset create_issue

A pinned argument has that value in every call and a hidden one is left out; clients see neither.
What is pinned can be read by whoever may show the virtual MCP, so it is no place for secrets.

With --mode smart_tool_selection clients get three tools that search, describe and call, instead of
a list that fills their context. What either costs is measured, as you would get it:

  meshctl virtual show work --tokens

It runs with the rights of who made it: with a key, nobody can attach what the key may not use."""

PINNING = """\
What a server says of its tools goes into prompts, and a server may say something else tomorrow. A
connection that is open (the default) serves tools as they come; a pinned one serves each tool as it
was approved, or not at all:

  meshctl connect notes URL --trust pinned          approves the list that it is added with
  meshctl connection edit notes --trust pinned      approves the list as it stands then
  meshctl connection edit notes --trust open        forgets what was approved

A tool that is new, or differs in anything the server says of it (description, schemas, annotations,
title, icons, _meta, whatever else; not the order of members or white space), is withheld from every
list and every caller, the version from before included, until it is approved:

  meshctl tool list notes                           withheld tools are marked
  meshctl tool diff notes                           what changed, line by line
  meshctl tool approve notes/search                 shows it, asks, approves exactly that
  meshctl tool approve notes --yes                  all of it, tools that are gone included

An approval is of what was shown: if the tool changed again since, it is refused. It stays when the
connection gets another URL or other credentials. Nothing is approved of a connection that was
pinned before it could be reached. Before a call of a pinned tool its list is at most a minute old.
A change is an event, mesh.tool.changed, with the names under added, removed and changed; an
approval is mesh.tool.approved. At an open connection tool diff shows the last change. A key needs
self/tool.diff to see what is withheld, and self/tool.approve to approve it; whoever may edit the
connection may unpin it. Prompts and resources are not pinned.

Characters that nobody sees, or that a terminal obeys, are shown as escapes such as \\u202e."""
