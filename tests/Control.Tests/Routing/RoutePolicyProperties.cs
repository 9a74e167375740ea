using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Routing;
using static Krewe.Control.Tests.Routing.RouteWorld;
using PrefixHit = Krewe.Control.Routing.PrefixHit;

namespace Krewe.Control.Tests.Routing;

/// <summary>Every policy over random cells, and policies with a defect that the same check must catch.</summary>
public class RoutePolicyProperties
{
    private const int Choices = 300;

    public static TheoryData<string> Names => [.. RoutingPolicies.Names];

    [Theory, MemberData(nameof(Names))]
    public void Nobody_is_given_what_it_cannot_take(string name)
    {
        for (var seed = 1; seed <= 10; seed++) Assert.Null(FirstFault(RoutingPolicies.Create(name, 1), seed));
    }

    [Theory, MemberData(nameof(Names))]
    public void Equal_histories_give_equal_choices(string name)
    {
        Assert.Equal(Run(RoutingPolicies.Create(name, 7), 3), Run(RoutingPolicies.Create(name, 7), 3));
        Assert.NotEqual(Run(RoutingPolicies.Create(name, 7), 3), Run(RoutingPolicies.Create(name, 7), 4));
    }

    [Theory, InlineData("lost"), InlineData("excluded"), InlineData("role"), InlineData("small"), InlineData("refuses")]
    public void A_defect_is_caught(string defect) =>
        Assert.NotNull(Enumerable.Range(1, 10).Select(seed => FirstFault(new Defective(defect), seed)).FirstOrDefault(
            fault => fault is not null));

    private static List<string> Run(IRoutingPolicy policy, int seed)
    {
        var chosen = new List<string>();
        foreach (var (request, table) in Cell(seed))
        {
            var choice = policy.Choose(request, table);
            chosen.Add($"{choice.Prefill?.Worker} {choice.Decode?.Worker} {choice.Refusal}");
            RouteDispatch.Count(request, choice);
        }

        return chosen;
    }

    /// <summary>What the policy does wrong first, in words; null = nothing.</summary>
    private static string? FirstFault(IRoutingPolicy policy, int seed)
    {
        foreach (var (request, table) in Cell(seed))
        {
            var choice = policy.Choose(request, table);
            var fault = Fault(request, choice, table);
            if (fault is not null) return $"{fault}: {policy.Explain(request, choice, table)}";
            RouteDispatch.Count(request, choice);
        }

        return null;
    }

    private static string? Fault(RouteRequest request, RouteChoice choice, RouteTable table)
    {
        bool Can(RouteWorker worker, bool takes, int tokens) => takes && worker.State == WorkerState.Ready
            && !request.Excluded.Contains(worker.Worker) && worker.Holds(tokens);
        if (choice.Refusal is { } code)
        {
            if (code == ErrorCode.Overloaded) return request.MayRefuse ? null : "refused what it must take";
            var workers = table.Workers.ToArray();
            return workers.Any(worker => Can(worker, worker.TakesPrefill, request.PrefillTokens))
                && workers.Any(worker => Can(worker, worker.TakesDecode, request.ContextTokens))
                    ? $"refused ({code}) what two workers could take"
                    : null;
        }

        var (prefill, decode) = (choice.Prefill!, choice.Decode!);
        if (!Can(prefill, prefill.TakesPrefill || (prefill == decode && prefill.TakesWhole), request.PrefillTokens))
            return $"{prefill.Worker} cannot prefill it";
        if (!Can(decode, decode.TakesDecode, request.ContextTokens)) return $"{decode.Worker} cannot decode it";
        return choice.HitTokens >= request.PrefillTokens ? "nothing is left to compute" : null;
    }

    /// <summary>A cell that changes, and its requests. The same for a seed, whoever chooses.</summary>
    private static IEnumerable<(RouteRequest Request, RouteTable Table)> Cell(int seed)
    {
        var random = new Random(seed);
        var table = new RouteTable();
        for (var i = 0; i < 12; i++)
        {
            var role = (WorkerRole)random.Next(3);
            table.Add(Worker($"w{i:00}", role, worker =>
            {
                worker.TotalBlocks = random.Next(20, 200);
                worker.AvailableBlocks = random.Next(worker.TotalBlocks + 1);
                worker.PrefillsLocally = random.Next(2) == 0;
                worker.PullsPrefixes = random.Next(2) == 0;
                worker.Steps = StepCosts.ColdStart with { IsGuess = random.Next(2) == 0 };
                (worker.KvBytesPerToken, worker.LinkBytesPerMs) = (1000, 1e6);
                (worker.HostBytesPerMs, worker.DiskBytesPerMs) = (1e6, random.Next(2) * 1e5);
            }));
        }

        for (var i = 0; i < Choices; i++)
        {
            foreach (var worker in table.Workers)
            {
                worker.State = random.Next(6) == 0 ? (WorkerState)random.Next(3) : WorkerState.Ready;
                worker.WaitingSequences = random.Next(5);
                worker.RunningSequences = random.Next(50);
                worker.WaitingTokens = random.Next(5000);
                worker.ContextTokens = worker.RunningSequences * 100L;
                if (random.Next(3) == 0) worker.ClearDispatched();
            }

            yield return (Draw(random, table, i), table);
        }
    }

    private static RouteRequest Draw(Random random, RouteTable table, int number)
    {
        var prompt = random.Next(1, 1500);
        var request = new RouteRequest
        {
            PrefillTokens = prompt,
            ContextTokens = prompt + random.Next(1, 1000),
            ExpectedOutputTokens = random.Next(300),
            NowUs = number * 10_000L,
            TtftSloMs = random.Next(2) == 0 ? double.PositiveInfinity : random.Next(10, 5000),
            TpotSloMs = random.Next(2) == 0 ? double.PositiveInfinity : random.Next(10, 500),
            MayRefuse = random.Next(2) == 0,
            Excluded = random.Next(2) == 0 ? [] : [table.Workers[random.Next(table.Workers.Length)].Worker],
            Hashes = Enumerable.Range(0, prompt / 16).Select(i => new PrefixHash((UInt128)(i + 1))).ToArray(),
        };
        foreach (var worker in table.Workers)
        {
            if (random.Next(3) == 0)
                request.Hits.Set(worker.Slot, new PrefixHit(random.Next(1500), random.Next(200), random.Next(200)));
        }

        return request;
    }

    /// <summary>Takes the first worker that it thinks fits, with one thing forgotten.</summary>
    private sealed class Defective(string defect) : IRoutingPolicy
    {
        public string Name => defect;

        public PrefixUse Prefix => PrefixUse.None;

        public RouteChoice Choose(RouteRequest request, RouteTable table)
        {
            RouteWorker? First(Func<RouteWorker, bool> takes, int tokens)
            {
                foreach (var worker in table.Workers)
                {
                    if ((defect == "lost" || worker.State == WorkerState.Ready)
                        && (defect == "excluded" || !request.Excluded.Contains(worker.Worker))
                        && (defect == "role" || takes(worker))
                        && (defect == "small" || worker.Holds(tokens)))
                        return worker;
                }

                return null;
            }

            var prefill = First(worker => worker.TakesPrefill, request.PrefillTokens);
            var decode = First(worker => worker.TakesDecode, request.ContextTokens);
            return prefill is null || decode is null || (defect == "refuses" && request.PrefillTokens % 7 == 0)
                ? RouteChoice.Refuse(ErrorCode.NoWorkers, RoutePhase.Prefill)
                : new RouteChoice { Prefill = prefill, Decode = decode, Rule = defect };
        }

        public string Explain(RouteRequest request, in RouteChoice choice, RouteTable table) => defect;

        public void Forget(int slot)
        {
        }
    }
}
