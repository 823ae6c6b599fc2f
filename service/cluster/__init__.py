"""Many machines: gateways and workers, joined by NATS JetStream. Nothing here is loaded by `safelight serve`.

names          what streams, subjects and buckets are called
connection     one connection, to a server that is new enough (link, credentials, nats_url)
streams        the streams and buckets there are, made and compared with what they have to be (stream_settings)
envelope       what a fact carries on its way
fact_writer    facts into their stream, each fenced by the one before it
jetstream      what the client library cannot ask JetStream
work_rows      waiting work as NATS has it: a consumer for each row
work_publisher gateways put work into its rows
work_queue     workers take it out, the most urgent first (row_list, alarm, puller, delivery)
ordered        a stream, read in order, whatever happens to NATS
kv, watch      a key-value bucket, and what changes in it
presence       what a worker says of itself (announcer), and which there are (workers)
cancels        asking the worker of a job to end it
leases         who of several gateways does what only one may do
idempotency    what idempotency keys were used for
objects        where pictures are kept: a bucket, or a folder
shared_files   the data folder of a machine, as a cache of those objects
shared_uploads uploads that every gateway can use
shared_keys    API keys and secrets of all gateways
turnstile      gateways accept the last jobs of a full queue one after the other

gateway        what makes a server a gateway, and what one of them does for all (reconciler, snapshots)
gateway_broker, stream_log           what it takes in goes into the streams (next_fact, work_place)
follower, stream_projection          facts come back out of them, into its database and to its viewers
hint_feed, hint_teller               hints, from workers to where somebody looks
remote_engine, remote_models         the workers, as a gateway shows them
shared_outbox, shared_removal        webhooks and removals of all gateways
worker         an engine, and what joins it to the gateways (worker_health)
worker_broker  claims work, and tells what becomes of it (claims, held_job)
"""
