using Krewe.Abstractions;

namespace Krewe.Silo.Dashboard;

/// <summary>A stretch of one request's life.</summary>
/// <param name="Kind">queue, prefill, handoff, decode, migration or wait.</param>
/// <param name="Worker">Where; null = at the gateway.</param>
/// <param name="Epoch">The attempt.</param>
/// <param name="StartMs">Since the gateway took the request in.</param>
/// <param name="EndMs">The same; of a stretch that goes on, now.</param>
/// <param name="State">done, running or failed.</param>
internal sealed record TimelineSegment(
    string Kind, string? Worker, int Epoch, double StartMs, double EndMs, string State);

/// <summary>
/// Makes stretches of a request's record: what operators want to see of the nine steps. A pure function; reports of
/// different workers may be in the record in either order.
/// </summary>
internal sealed class RequestTimeline
{
    private const string Done = "done";
    private const string Running = "running";
    private const string Failed = "failed";

    private readonly List<TimelineSegment> _segments = [];
    private readonly Dictionary<(string Kind, string? Worker), (double StartMs, int Epoch)> _open = [];

    private RequestTimeline()
    {
    }

    /// <param name="record">The life so far.</param>
    /// <param name="now">Where stretches end that go on, UTC.</param>
    public static IReadOnlyList<TimelineSegment> Of(RequestRecord record, DateTimeOffset now)
    {
        if (record.Log.IsDefaultOrEmpty) return [];
        var timeline = new RequestTimeline();
        var start = record.Log.Min(entry => entry.At);
        var end = record.Outcome is null ? now : record.Log.Max(entry => entry.At);
        timeline.Open("queue", null, 0, 0);
        foreach (var entry in record.Log.OrderBy(entry => entry.At))
            timeline.Take(entry, (entry.At - start).TotalMilliseconds);
        var state = record.Outcome switch
        {
            null => Running,
            RequestOutcome.Finished => Done,
            _ => Failed,
        };

        // What the owner ended by a stop string or the last token, nobody reports.
        timeline.CloseAll(Math.Max(0, (end - start).TotalMilliseconds), state);
        return [.. timeline._segments.OrderBy(segment => segment.StartMs).ThenBy(segment => segment.EndMs)];
    }

    private void Take(RequestLogEntry entry, double at)
    {
        switch (entry.Kind)
        {
            case RequestReportKind.PrefillStarted:
                Close("queue", null, at);
                Close("wait", null, at);
                Open("prefill", entry.WorkerId, entry.Epoch, at);
                break;
            case RequestReportKind.PrefillFinished: Close("prefill", entry.WorkerId, at); break;
            case RequestReportKind.HandoffStarted: Open("handoff", entry.WorkerId, entry.Epoch, at); break;
            case RequestReportKind.HandoffCommitted: Close("handoff", entry.WorkerId, at); break;
            case RequestReportKind.DecodeStarted: Open("decode", entry.WorkerId, entry.Epoch, at); break;
            case RequestReportKind.MigrationStarted: Open("migration", entry.WorkerId, entry.Epoch, at); break;
            case RequestReportKind.MigrationAborted: Close("migration", entry.WorkerId, at, Failed); break;
            case RequestReportKind.MigrationCommitted:
                Close("migration", entry.WorkerId, at);
                CloseKind("decode", at, Done);
                CloseKind("prefill", at, Done);
                Open("decode", entry.WorkerId, entry.Epoch, at);
                break;
            case RequestReportKind.AttemptFailed:
                CloseAll(at, Failed);
                Open("wait", null, entry.Epoch, at);
                break;
            default: break;
        }
    }

    private void Open(string kind, string? worker, int epoch, double at) => _open.TryAdd((kind, worker), (at, epoch));

    private void Close(string kind, string? worker, double at, string state = Done)
    {
        if (!_open.Remove((kind, worker), out var begun)) return;
        _segments.Add(new TimelineSegment(
            kind, worker, begun.Epoch, begun.StartMs, Math.Max(at, begun.StartMs), state));
    }

    private void CloseKind(string kind, double at, string state)
    {
        foreach (var key in _open.Keys.Where(key => key.Kind == kind).ToArray()) Close(key.Kind, key.Worker, at, state);
    }

    private void CloseAll(double at, string state)
    {
        foreach (var key in _open.Keys.ToArray()) Close(key.Kind, key.Worker, at, state);
    }
}
