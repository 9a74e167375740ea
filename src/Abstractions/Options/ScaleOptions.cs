namespace Krewe.Abstractions;

/// <summary>A set of worker pods that the cluster may scale.</summary>
/// <param name="Name">Of the StatefulSet.</param>
/// <param name="Min">Fewest replicas.</param>
/// <param name="Max">Most.</param>
public sealed record ScaleTarget(string Name, int Min, int Max)
{
    /// <summary>Reads NAME:MIN:MAX; null when it is not that.</summary>
    public static ScaleTarget? Parse(string text) =>
        text.Split(':') is [{ Length: > 0 } name, var min, var max] && int.TryParse(min, out var from)
        && int.TryParse(max, out var to)
            ? new ScaleTarget(name, from, to)
            : null;
}

/// <summary>How a silo scales its workers through the API of Kubernetes. Usual values are those inside a pod.</summary>
public sealed record ScaleOptions
{
    private const string Account = "/var/run/secrets/kubernetes.io/serviceaccount";

    public ScaleTarget? Prefill { get; init; }

    public ScaleTarget? Decode { get; init; }

    public Uri Api { get; init; } = new("https://kubernetes.default.svc");

    /// <summary>Null reads it from the folder.</summary>
    public string? Namespace { get; init; }

    /// <summary>Folder with token, ca.crt and namespace; the token expires and is read anew for every call.</summary>
    public string AccountFolder { get; init; } = Account;

    /// <summary>Every error at once.</summary>
    public IEnumerable<string> Validate()
    {
        foreach (var (option, target) in ((string, ScaleTarget?)[])[("prefill", Prefill), ("decode", Decode)])
        {
            if (target is not null && (target.Min < 1 || target.Max < target.Min))
            {
                yield return $"--scale-{option} is from {target.Min} to {target.Max} replicas; give NAME:MIN:MAX with "
                    + "1 <= MIN <= MAX.";
            }
        }
    }
}
