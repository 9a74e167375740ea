using Krewe.Abstractions;
using Krewe.Silo.Streams;
using Microsoft.Extensions.Logging.Abstractions;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Streams;

/// <summary>The owner takes every index once, in order, whatever two links and several epochs do.</summary>
public sealed class RequestStreamTests
{
    private readonly StreamCounters _counters = new();
    private readonly FakeRequestGrain _grain = new();

    [Fact]
    public async Task Runs_of_two_links_are_one_stream()
    {
        var stream = Create();
        Assert.Empty(stream.BeginEpoch(1));

        stream.Accept(Run(1, 0, 10));
        stream.Accept(Run(1, 0, 10, 11));
        stream.Accept(Run(1, 1, 11, 12, 13));

        var read = await stream.ReadAsync(0, CancellationToken.None);
        Assert.Equal([10, 11, 12, 13], read.Tokens);
        Assert.Null(read.End);
        Assert.Equal((4L, 2L, 0L), (_counters.Accepted, _counters.Duplicate, _counters.Contradicting));
    }

    [Fact]
    public void A_gap_is_dropped_and_healed_by_the_run_that_starts_at_it()
    {
        var stream = Create();
        stream.BeginEpoch(1);

        stream.Accept(Run(1, 1, 11));
        stream.Accept(Run(1, 0, 10, 11, 12));

        Assert.Equal((3L, 1L), (_counters.Accepted, _counters.Early));
        Assert.Equal<int>([10, 11, 12], stream.BeginEpoch(2));
    }

    [Fact]
    public void An_older_epoch_is_never_heard_again_and_a_newer_one_not_yet()
    {
        var stream = Create();
        stream.BeginEpoch(1);
        stream.Accept(Run(1, 0, 10));
        Assert.Equal<int>([10], stream.BeginEpoch(3));

        stream.Accept(Run(1, 1, 66));
        stream.Accept(Run(2, 1, 66));
        stream.Accept(Run(4, 1, 66));
        stream.Accept(Run(3, 1, 11));

        Assert.Equal((2L, 3L), (_counters.Accepted, _counters.Stale));
        Assert.Equal(ErrorCode.Internal, Assert.Throws<KreweException>(() => stream.BeginEpoch(3)).Code);
    }

    [Fact]
    public void A_repeated_token_that_differs_is_counted_and_the_first_one_stands()
    {
        var stream = Create();
        stream.BeginEpoch(1);
        stream.Accept(Run(1, 0, 10));

        stream.Accept(Run(1, 0, 99, 11));

        Assert.Equal(1, _counters.Contradicting);
        Assert.Equal<int>([10, 11], stream.BeginEpoch(2));
    }

    [Fact]
    public async Task It_ends_once_and_tells_its_grain_once()
    {
        var stream = Create();
        stream.BeginEpoch(1);
        var last = Run(1, 0, 10, 11);
        last.Finish = Wire.FinishReason.Length;

        stream.Accept(last);
        stream.Accept(last);
        Assert.False(stream.TryEnd(new StreamEnd.Failed(ErrorCode.WorkerLost, "late")));

        var read = await stream.ReadAsync(0, CancellationToken.None);
        Assert.Equal(new StreamEnd.Finished("length"), read.End);
        Assert.Equal(2, _counters.Late);
        await Harness.Eventually.UntilAsync(() => _grain.Reports.Count == 2, "both reports are told");
        Assert.Equal(
            [RequestReportKind.FirstToken, RequestReportKind.Finished], _grain.Reports.Select(report => report.Kind));
        Assert.Equal(2, _grain.Reports.Last().OutputTokens);
    }

    [Fact]
    public async Task A_reader_gets_what_came_before_an_error_together_with_it()
    {
        var stream = Create();
        stream.BeginEpoch(1);
        var reading = stream.ReadAsync(0, CancellationToken.None);
        Assert.False(reading.IsCompleted);

        stream.Accept(Run(1, 0, 10));
        int[] first = (await reading).Tokens;
        Assert.Equal([10], first);
        stream.Accept(Run(1, 1, 11));
        stream.TryEnd(new StreamEnd.Failed(ErrorCode.NoWorkers, "none left"));

        var read = await stream.ReadAsync(1, CancellationToken.None);
        Assert.Equal([11], read.Tokens);
        Assert.IsType<StreamEnd.Failed>(read.End);
        Assert.Throws<KreweException>(() => stream.BeginEpoch(2));
    }

    [Fact]
    public async Task Reports_are_told_in_order_and_one_that_fails_does_not_stop_the_next()
    {
        var reports = new RequestReports(_grain, "r", NullLogger.Instance);
        _grain.FailuresLeft = 3;

        for (var i = 0; i < 100; i++)
            reports.Send(new RequestReport { Kind = RequestReportKind.Accepted, Epoch = i });

        await Harness.Eventually.UntilAsync(() => _grain.Reports.Count == 97, "all but the failed ones are told");
        Assert.Equal(Enumerable.Range(3, 97), _grain.Reports.Select(report => report.Epoch));
    }

    [Fact]
    public void An_owner_without_the_index_rule_is_caught()
    {
        // The positive control: appending whatever comes doubles the token that both workers report.
        List<uint> naive = [];
        foreach (var run in (Wire.TokenRun[])[Run(1, 0, 10), Run(1, 0, 10, 11)]) naive.AddRange(run.Tokens);

        var stream = Create();
        stream.BeginEpoch(1);
        stream.Accept(Run(1, 0, 10));
        stream.Accept(Run(1, 0, 10, 11));

        Assert.NotEqual(naive, stream.BeginEpoch(2).Select(token => (uint)token));
    }

    private RequestStream Create() =>
        new("r", new RequestReports(_grain, "r", NullLogger.Instance), _counters);

    private static Wire.TokenRun Run(uint epoch, uint first, params uint[] tokens)
    {
        var run = new Wire.TokenRun
        {
            Key = new Wire.SequenceKey { RequestId = "r", Epoch = epoch },
            FirstIndex = first,
        };
        run.Tokens.AddRange(tokens);
        return run;
    }
}
