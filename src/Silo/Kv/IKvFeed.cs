using Krewe.Abstractions;
using Krewe.Control.KvEvents;

namespace Krewe.Silo.Kv;

/// <summary>Who keeps what workers tell of their KV. Called in the order of a link's messages, never by two at once for
/// the same worker.</summary>
internal interface IKvFeed
{
    /// <summary>Everything known of the worker is void; what follows is all there is.</summary>
    void Begin(WorkerIncarnation worker);

    void Apply(WorkerIncarnation worker, ReadOnlySpan<KvChange> changes);

    /// <summary>What is known of the worker is all true now, or no more (a gap; a snapshot is on its way).</summary>
    void Show(WorkerIncarnation worker, bool isComplete);

    /// <summary>The worker's link is over.</summary>
    void End(WorkerIncarnation worker);
}
