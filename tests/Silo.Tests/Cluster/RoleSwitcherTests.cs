using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Silo.Cluster;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Cluster;

public sealed class RoleSwitcherTests
{
    private static readonly SwitchRole Advice = new(PoolPhase.Decode, PoolPhase.Prefill, "prefill is late");

    [Fact]
    public async Task A_spare_decode_worker_is_emptied_told_and_back_as_a_prefill_worker()
    {
        await using var harness = await SiloHarness.StartPairAsync(options => options with { SwitchRoles = true });
        var spare = await harness.AddAsync("decode-1", Wire.WorkerRole.Decode);
        var hold = new Hold(1);
        harness.Decode.Hold = hold;
        spare.Hold = hold;
        using var answer = await harness.PostStreamAsync(
            "/v1/completions", """{"model":"tiny","prompt":"hi","max_tokens":4,"stream":true}""");
        await hold.Reached;
        Assert.Equal(1, Decodes(harness));
        var idle = harness.Decode.RunningCount == 0 ? harness.Decode : spare;

        var switching = Switcher(harness).SwitchAsync(Advice);
        await Eventually.UntilAsync(() => !idle.Roles.IsEmpty, "the one that holds nothing is told");
        await Switcher(harness).SwitchAsync(Advice);
        await idle.KillAsync();
        await harness.AddAsync(idle.Hello.WorkerId, Wire.WorkerRole.Prefill);
        await switching.WaitAsync(Eventually.Limit);

        Assert.Equal(Wire.WorkerRole.Prefill, Assert.Single(idle.Roles));
        Assert.Empty((idle == spare ? harness.Decode : spare).Roles);
        var told = Assert.Single(Decisions(harness).After(0), decision => decision.Kind == "role");
        Assert.Equal($"made {idle.Hello.WorkerId} a prefill worker: prefill is late", told.What);
        await Eventually.UntilAsync(
            () => harness.View.Find(idle.Hello.WorkerId)!.View.State == WorkerState.Ready, "it serves again");
        hold.Release();
        Assert.Contains("[DONE]", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unasked_it_stays_advice()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        await Switcher(harness).SwitchAsync(Advice);
        Assert.Empty(Decisions(harness).After(0));
        Assert.Equal(WorkerState.Ready, harness.View.Find("decode-0")!.View.State);
    }

    private static int Decodes(SiloHarness harness) =>
        harness.View.Links.Count(link => link.Descriptor.Role == WorkerRole.Decode && link.AttemptCount == 1);

    private static RoleSwitcher Switcher(SiloHarness harness) =>
        harness.Silo.Services.GetRequiredService<RoleSwitcher>();

    private static DecisionLog Decisions(SiloHarness harness) =>
        harness.Silo.Services.GetRequiredService<DecisionLog>();
}
