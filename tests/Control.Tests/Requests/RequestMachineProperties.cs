using FsCheck;
using FsCheck.Fluent;
using Krewe.Control.Requests;

namespace Krewe.Control.Tests.Requests;

public class RequestMachineProperties
{
    private static readonly RequestMachine Machine = new(RequestWorld.Limits);

    [Fact]
    public void In_whatever_order_events_come_a_request_ends_once_and_leaves_nothing_behind()
    {
        HashSet<RequestPhase> phases = [];
        HashSet<Type> events = [];
        Search(Machine.Apply, runs: 2000, world =>
        {
            phases.UnionWith(world.PhasesSeen);
            events.UnionWith(world.EventsSeen);
        });

        // A search that never got anywhere proves nothing.
        Assert.Equal(Enum.GetValues<RequestPhase>().Except([RequestPhase.Received]).Order(), phases.Order());
        var all = typeof(RequestEvent).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(RequestEvent)));
        Assert.Empty(all.Except(events));
    }

    /// <summary>Mistakes that a machine could make, and the rule that each must break.</summary>
    private static readonly (string Mistake, string Rule, Func<RequestState, RequestEvent, RequestTransition> Apply)[]
        BrokenMachines =
        [
            ("applies reports of old epochs", "of an old epoch was applied",
                (state, happened) => Machine.Apply(state, happened is Reported old
                    ? old with { Report = old.Report with { Epoch = state.Epoch } }
                    : happened)),
            ("forgets to abort", "neither aborted nor finished",
                (state, happened) => Without<Abort>(Machine.Apply(state, happened))),
            ("forgets to abort a migration", "neither aborted nor finished",
                (state, happened) => Without<AbortMigration>(Machine.Apply(state, happened))),
            ("forgets to release", "held after the end",
                (state, happened) => Without<ReleaseLease>(Machine.Apply(state, happened))),
            ("keeps leases that are granted late", "held after the end",
                (state, happened) => happened is LeasesGranted && state.Phase != RequestPhase.Leasing
                    ? new RequestTransition(state, [])
                    : Machine.Apply(state, happened)),
            ("ends twice", "did more than release after the end",
                (state, happened) => Machine.Apply(
                    happened is CancelRequested && state.Phase == RequestPhase.Finished
                        ? state with { Phase = RequestPhase.Decoding }
                        : state,
                    happened)),
            ("never looks at the clock", "never ended",
                (state, happened) => happened is ClockTicked
                    ? new RequestTransition(state, [])
                    : Machine.Apply(state, happened)),
            ("tries for ever", "more attempts than allowed",
                (state, happened) =>
                {
                    var few = state with { Attempts = Math.Min(state.Attempts, 1) };
                    var (after, effects) = Machine.Apply(few, happened);
                    var attempts = state.Attempts + effects.Count(effect => effect is Dispatch);
                    return new RequestTransition(after with { Attempts = attempts }, effects);
                }),
        ];

    public static TheoryData<string> Mistakes => [.. BrokenMachines.Select(broken => broken.Mistake)];

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void A_broken_machine_is_caught(string mistake)
    {
        var (_, rule, apply) = BrokenMachines.Single(broken => broken.Mistake == mistake);
        var error = Record.Exception(() => Search(apply, runs: 2000, _ => { }));
        Assert.True(error is not null, $"Nobody noticed a machine that {mistake}.");
        Assert.True(error.Message.Contains(rule, StringComparison.Ordinal), error.ToString());
    }

    private static RequestTransition Without<TEffect>(RequestTransition transition)
        where TEffect : RequestEffect =>
        transition with { Effects = transition.Effects.RemoveAll(effect => effect is TEffect) };

    /// <summary>The script without one of its parts, large parts first.</summary>
    private static IEnumerable<int[]> Shorter(int[] script)
    {
        for (var part = script.Length / 2; part > 0; part /= 2)
            for (var start = 0; start + part <= script.Length; start += part)
                yield return [.. script[..start], .. script[(start + part)..]];
    }

    /// <summary>
    /// Scripts are lists of numbers, so that FsCheck shrinks a failing one and prints it with its seed.
    /// </summary>
    private static void Search(
        Func<RequestState, RequestEvent, RequestTransition> apply, int runs, Action<RequestWorld> seen)
    {
        var scripts = Arb.From(Gen.Choose(0, int.MaxValue - 1).ArrayOf(120), Shorter);
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(runs).WithReplay(20_260_801, 1),
            Prop.ForAll(scripts, script =>
            {
                var world = new RequestWorld(apply, script);
                world.Run();
                seen(world);
            }));
    }
}
