using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

public sealed class ReadFirstGateTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_write_waits_until_the_last_read_has_ended()
    {
        using var gate = new ReadFirstGate(4, TimeSpan.FromSeconds(1), _time);
        gate.BeginReads(1);
        gate.BeginReads(1);
        var write = gate.BeginWriteAsync(default).AsTask();
        gate.EndReads(1);
        Assert.Equal((1, 0, 1), gate.Load);

        gate.EndReads(1);
        await write;

        Assert.Equal((0, 1, 0), gate.Load);
    }

    [Fact]
    public async Task Only_so_many_writes_run_at_once()
    {
        using var gate = new ReadFirstGate(1, TimeSpan.FromSeconds(1), _time);
        await gate.BeginWriteAsync(default);
        var second = gate.BeginWriteAsync(default).AsTask();
        Assert.Equal((0, 1, 1), gate.Load);

        gate.EndWrite();
        await second;
    }

    [Fact]
    public async Task Under_endless_reads_one_write_goes_through_each_time_its_patience_ends()
    {
        using var gate = new ReadFirstGate(4, TimeSpan.FromSeconds(1), _time);
        gate.BeginReads(1);
        var first = gate.BeginWriteAsync(default).AsTask();
        var second = gate.BeginWriteAsync(default).AsTask();

        _time.Advance(TimeSpan.FromSeconds(1));
        await first;
        Assert.Equal((1, 1, 1), gate.Load);

        _time.Advance(TimeSpan.FromSeconds(1));
        await second;
        Assert.Equal((1, 2, 0), gate.Load);
    }

    [Fact]
    public async Task A_cancelled_write_leaves_the_queue_to_the_next()
    {
        using var gate = new ReadFirstGate(4, TimeSpan.FromSeconds(1), _time);
        using var cancel = new CancellationTokenSource();
        gate.BeginReads(1);
        var cancelled = gate.BeginWriteAsync(cancel.Token).AsTask();
        var next = gate.BeginWriteAsync(default).AsTask();

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        gate.EndReads(1);
        await next;

        Assert.Equal((0, 1, 0), gate.Load);
    }
}
