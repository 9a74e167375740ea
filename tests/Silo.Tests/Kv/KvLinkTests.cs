using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Control.KvEvents;
using Krewe.Silo.Kv;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Kv;

public sealed class KvLinkTests
{
    private readonly RecordingFeed _feed = new();

    [Fact]
    public void A_snapshot_replaces_and_events_follow_and_a_gap_asks_once()
    {
        var link = new KvLink(new WorkerIncarnation("a", 1), [_feed]);
        Assert.False(link.Take(Snapshot(first: 5, offset: 0, ends: false, changes: 2)));
        Assert.False(link.Take(Snapshot(first: 5, offset: 2, ends: true, changes: 1)));
        Assert.False(link.Take(Events(first: 5, changes: 3)));
        Assert.Equal(["begin", "+2", "hidden", "+1", "shown", "+3"], _feed.Heard);

        Assert.True(link.Take(Events(first: 9, changes: 1))); // 8 is missing
        Assert.False(link.Take(Events(first: 10, changes: 1)));
        Assert.Equal(["hidden"], _feed.Heard[6..]);
        Assert.False(link.Take(Snapshot(first: 11, offset: 0, ends: true, changes: 1)));
        Assert.Equal(["begin", "+1", "shown"], _feed.Heard[7..]);
        link.End();
        Assert.Equal("end", _feed.Heard[^1]);
    }

    [Fact]
    public void Garbage_is_not_taken_and_an_unknown_kind_still_counts()
    {
        var link = new KvLink(new WorkerIncarnation("a", 1), [_feed]);
        link.Take(Snapshot(first: 1, offset: 0, ends: true, changes: 0));
        var broken = Events(first: 1, changes: 2);
        broken.Hashes = ByteString.CopyFrom(1, 2, 3);
        Assert.False(link.Take(broken));

        var newer = Events(first: 1, changes: 2);
        newer.Kinds = ByteString.CopyFrom(3, 0);
        Assert.False(link.Take(newer));
        Assert.False(link.Take(Events(first: 3, changes: 1))); // no gap
    }

    private static Wire.KvEvents Events(ulong first, int changes) => new()
    {
        First = first,
        Kinds = ByteString.CopyFrom(new byte[changes]),
        Hashes = ByteString.CopyFrom(new byte[16 * changes]),
    };

    private static Wire.KvEvents Snapshot(ulong first, uint offset, bool ends, int changes)
    {
        var message = Events(first, changes);
        (message.Snapshot, message.Offset, message.Ends) = (true, offset, ends);
        return message;
    }

    private sealed class RecordingFeed : IKvFeed
    {
        public List<string> Heard { get; } = [];

        public void Begin(WorkerIncarnation worker) => Heard.Add("begin");

        public void Apply(WorkerIncarnation worker, ReadOnlySpan<KvChange> changes) => Heard.Add($"+{changes.Length}");

        public void Show(WorkerIncarnation worker, bool isComplete) => Heard.Add(isComplete ? "shown" : "hidden");

        public void End(WorkerIncarnation worker) => Heard.Add("end");
    }
}
