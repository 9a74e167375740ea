using System.Diagnostics.CodeAnalysis;

namespace Krewe.Control.Routing;

/// <summary>Every policy by the name that <c>--policy</c> takes.</summary>
public static class RoutingPolicies
{
    /// <summary>What runs when nobody chose.</summary>
    public const string Default = "least-loaded";

    private static readonly SortedList<string, Func<ulong, IRoutingPolicy>> Factories = new(StringComparer.Ordinal)
    {
        ["aibrix"] = _ => new AibrixPolicy(),
        ["dynamo"] = seed => new DynamoPolicy(seed, lmetric: false),
        ["dynamo-lmetric"] = seed => new DynamoPolicy(seed, lmetric: true),
        ["krewe"] = _ => new KrewePolicy(),
        ["least-loaded"] = _ => new LeastLoadedPolicy(),
        ["llm-d"] = seed => new LlmdPolicy(seed),
        ["llm-d-sticky"] = seed => new LlmdStickyPolicy(seed),
        ["llumnix"] = _ => new LlumnixPolicy(),
        ["mooncake"] = _ => new MooncakePolicy(),
        ["power-of-two"] = seed => new PowerOfTwoPolicy(seed),
        ["random"] = seed => new RandomPolicy(seed),
        ["round-robin"] = _ => new RoundRobinPolicy(),
        ["sglang"] = _ => new SglangPolicy(),
    };

    public static IReadOnlyList<string> Names => [.. Factories.Keys];

    /// <summary>A fresh policy; whatever it draws, it draws from <paramref name="seed"/>.</summary>
    public static bool TryCreate(string name, ulong seed, [NotNullWhen(true)] out IRoutingPolicy? policy)
    {
        policy = Factories.TryGetValue(name, out var create) ? create(seed) : null;
        return policy is not null;
    }

    /// <summary>Throws <see cref="ArgumentException"/> with all names when there is none of this name.</summary>
    public static IRoutingPolicy Create(string name, ulong seed) =>
        TryCreate(name, seed, out var policy)
            ? policy
            : throw new ArgumentException($"No routing policy '{name}'; there are: {string.Join(", ", Names)}.");
}
