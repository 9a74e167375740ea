using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>A prefix that another worker holds is pulled instead of recomputed, and nothing that goes wrong is felt.
/// </summary>
public sealed class PrefixFetchTests
{
    private static readonly TimeSpan SlowStep = TimeSpan.FromMilliseconds(30);

    public static TheoryData<KvTransport> Transports => [KvTransport.Tcp, KvTransport.Shared];

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_prefix_that_another_worker_holds_is_pulled(KvTransport transport)
    {
        await using var holder = new HandoffBench(WorkerRole.Mixed, transport: transport);
        await using var puller = new HandoffBench(WorkerRole.Mixed, transport: transport);
        await WarmAsync(holder, puller);
        await AskAsync(holder, "a", Prompt(1, 200));
        var computed = puller.Engine.Load.PrefillTokens;

        // The same 200 tokens and 30 more: 12 full blocks are with the holder.
        int[] longer = [.. Prompt(1, 200), .. Prompt(2, 30)];
        Assert.Equal(FakeRunner.Answer(longer, 5), await AskAsync(puller, "b", longer, holder.Address, 200));
        Assert.Equal(192u, puller.Owner.Event("b", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        Assert.Equal(230 - 192, puller.Engine.Load.PrefillTokens - computed);

        // What was pulled is in this worker's own cache now: the next one needs no holder.
        Assert.Equal(FakeRunner.Answer(longer, 5), await AskAsync(puller, "c", longer));
        Assert.Equal(224u, puller.Owner.Event("c", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        await puller.AssertAllReturnedAsync();
        await AssertUnpinnedAsync(holder);
    }

    [Fact]
    public async Task Nothing_is_fetched_before_computing_was_measured()
    {
        await using var holder = new HandoffBench(WorkerRole.Mixed);
        await using var puller = new HandoffBench(WorkerRole.Mixed);
        await AskAsync(holder, "a", Prompt(1, 200));
        Assert.Equal(FakeRunner.Answer(Prompt(1, 200), 5),
            await AskAsync(puller, "b", Prompt(1, 200), holder.Address, 200));
        Assert.Equal(0u, puller.Owner.Event("b", SequenceEventKind.PrefillStarted).PrefixHitTokens);
    }

    [Theory]
    [InlineData("gone")] // nobody listens
    [InlineData("restarted")] // another incarnation
    [InlineData("evicted")] // the holder has other prefixes
    [InlineData("model")] // another model's blocks
    public async Task A_holder_that_cannot_help_costs_nothing_but_time(string trouble)
    {
        await using var holder = new HandoffBench(
            WorkerRole.Mixed, model: trouble == "model" ? "another" : "model");
        await using var puller = new HandoffBench(WorkerRole.Mixed);
        await WarmAsync(holder, puller);
        if (trouble != "evicted") await AskAsync(holder, "a", Prompt(1, 200));
        var address = holder.Address;
        if (trouble == "restarted") address.Incarnation++;
        using var nobody = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        if (trouble == "gone") address.Port = EngineBench.BindWithoutListening(nobody);
        Assert.Equal(FakeRunner.Answer(Prompt(1, 200), 5),
            await AskAsync(puller, "b", Prompt(1, 200), address, 200));
        Assert.Equal(0u, puller.Owner.Event("b", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        await puller.AssertAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Transports))]
    public async Task A_link_that_breaks_on_the_way_leaves_the_right_tokens(KvTransport transport)
    {
        await using var holder = new HandoffBench(WorkerRole.Mixed, TimeProvider.System, transport: transport);
        await using var puller = new HandoffBench(WorkerRole.Mixed, TimeProvider.System, transport: transport);
        await WarmAsync(holder, puller);
        for (var i = 0; i < 12; i++)
        {
            var prompt = Prompt(100 + i, 200);
            await AskAsync(holder, $"a{i}", prompt);
            LinkFault fault = i % 2 == 0 ? new() { CutAfter = 40 * i * i } : new() { FlipAt = 45 * i * i };
            await using var proxy = new FaultProxy(holder.Address, toTarget: fault);
            Assert.Equal(
                FakeRunner.Answer(prompt, 5), await AskAsync(puller, $"b{i}", prompt, proxy.Address, 200));
        }

        await puller.AssertAllReturnedAsync();
        await AssertUnpinnedAsync(holder);
    }

    [Theory]
    [InlineData(SequencePart.Whole)]
    [InlineData(SequencePart.Prefill)]
    public async Task A_sequence_that_is_aborted_while_it_fetches_gives_everything_back(SequencePart part)
    {
        await using var holder = new HandoffBench(WorkerRole.Mixed);
        await using var puller = new HandoffBench(WorkerRole.Mixed);
        await WarmAsync(holder, puller);
        await AskAsync(holder, "a", Prompt(1, 200));
        await using var proxy = new FaultProxy(holder.Address, toTarget: new LinkFault { StallAfter = 100 });
        var start = Start("b", Prompt(1, 200), 5, part);
        (start.PrefixSource, start.PrefixTokens) = (proxy.Address, 200);
        puller.Start(start);
        for (var i = 0; i < 24_000 && proxy.BytesToTarget < 100; i++) await Task.Delay(5);
        Assert.True(proxy.BytesToTarget >= 100, "Nothing was fetched.");
        puller.Abort("b");
        await puller.Owner.WhenReleasedAsync("b");
        await puller.AssertAllReturnedAsync();
        await AssertUnpinnedAsync(holder);
    }

    /// <summary>Measures computing as slow, so that a fetch pays.</summary>
    private static async Task WarmAsync(HandoffBench holder, HandoffBench puller)
    {
        puller.Runner.BeforeRun = _ => Thread.Sleep(SlowStep);
        await AskAsync(puller, "warm", Prompt(77, 100));
        Assert.Equal(0, holder.Engine.Load.Leases);
    }

    /// <summary>The holder hears of the link's end a moment after the puller.</summary>
    private static async Task AssertUnpinnedAsync(HandoffBench holder)
    {
        for (var i = 0; i < 12_000 && holder.Engine.Load.PinnedBlocks > 0; i++) await Task.Delay(10);
        await holder.AssertAllReturnedAsync();
    }

    private static async Task<int[]> AskAsync(
        HandoffBench bench, string request, int[] prompt, DataAddress? prefixSource = null, uint prefixTokens = 0)
    {
        var start = Start(request, prompt, 5);
        (start.PrefixSource, start.PrefixTokens) = (prefixSource, prefixTokens);
        bench.Start(start);
        await bench.Owner.WhenReleasedAsync(request);
        return bench.Owner.Tokens(request);
    }
}
