using Krewe.Abstractions;
using Krewe.Silo.Dashboard;

namespace Krewe.Silo.Tests.Dashboard;

public sealed class RequestTimelineTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_migrated_request_decodes_on_one_worker_after_the_other()
    {
        var record = Record(
            RequestOutcome.Finished,
            (0, null, null), (10, "prefill-0", RequestReportKind.PrefillStarted),
            (20, "decode-0", RequestReportKind.HandoffStarted), (30, "prefill-0", RequestReportKind.PrefillFinished),
            (32, "decode-0", RequestReportKind.HandoffCommitted), (32, "decode-0", RequestReportKind.DecodeStarted),
            (50, "decode-1", RequestReportKind.MigrationStarted),
            (60, "decode-1", RequestReportKind.MigrationCommitted), (90, null, null));

        Assert.Equal(
            [
                "queue - 0-10 done", "prefill prefill-0 10-30 done", "handoff decode-0 20-32 done",
                "decode decode-0 32-60 done", "migration decode-1 50-60 done", "decode decode-1 60-90 done",
            ],
            Of(record, 1000));
    }

    [Fact]
    public void A_lost_worker_ends_its_stretch_and_the_next_attempt_follows()
    {
        var record = Record(
            null,
            (0, null, null), (5, "mixed-0", RequestReportKind.PrefillStarted),
            (9, "mixed-0", RequestReportKind.PrefillFinished), (9, "mixed-0", RequestReportKind.DecodeStarted),
            (20, "mixed-0", RequestReportKind.AttemptFailed), (30, "mixed-1", RequestReportKind.PrefillStarted));

        Assert.Equal(
            [
                "queue - 0-5 done", "prefill mixed-0 5-9 done", "decode mixed-0 9-20 failed", "wait - 20-30 done",
                "prefill mixed-1 30-44 running",
            ],
            Of(record, 44));
    }

    [Fact]
    public void A_migration_that_comes_to_nothing_leaves_the_decode_alone()
    {
        var record = Record(
            RequestOutcome.Cancelled,
            (0, null, null), (5, "mixed-0", RequestReportKind.DecodeStarted),
            (10, "mixed-1", RequestReportKind.MigrationStarted), (15, "mixed-1", RequestReportKind.MigrationAborted),
            (40, null, null));

        Assert.Equal(
            ["queue - 0-40 failed", "decode mixed-0 5-40 failed", "migration mixed-1 10-15 failed"], Of(record, 99));
    }

    private static string[] Of(RequestRecord record, int now) =>
    [
        .. RequestTimeline.Of(record, Start.AddMilliseconds(now)).Select(segment => FormattableString.Invariant(
            $"{segment.Kind} {segment.Worker ?? "-"} {segment.StartMs:0}-{segment.EndMs:0} {segment.State}")),
    ];

    private static RequestRecord Record(
        RequestOutcome? outcome, params (int At, string? Worker, RequestReportKind? Kind)[] log)
    {
        var entries = log.Select(entry =>
            new RequestLogEntry(1, Start.AddMilliseconds(entry.At), 1, entry.Worker, "what") { Kind = entry.Kind });
        return new RequestRecord
        {
            RequestId = "r",
            Model = "tiny",
            Phase = "Decoding",
            Epoch = 1,
            PromptTokens = 1,
            OutputTokens = 1,
            Seed = 1,
            Outcome = outcome,
            BlocksMoved = 0,
            BytesMoved = 0,
            Log = [.. entries],
        };
    }
}
