using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>How many workers of each role <c>serve</c> starts.</summary>
internal sealed record WorkerSet(int Prefill, int Decode, int Mixed)
{
    public int Count => Prefill + Decode + Mixed;

    /// <summary>The usual set is one prefill and one decode worker; naming a role replaces it.</summary>
    public static WorkerSet From(int? prefill, int? decode, int? mixed)
    {
        if (mixed is > 0) return new WorkerSet(prefill ?? 0, decode ?? 0, mixed.Value);
        return new WorkerSet(prefill ?? 1, decode ?? 1, mixed ?? 0);
    }

    public IEnumerable<string> Validate()
    {
        if (Mixed > 0) yield break;
        if (Prefill == 0) yield return "No worker would take prompts; start one with --prefill 1 or --mixed 1.";
        if (Decode == 0) yield return "No worker would decode; start one with --decode 1 or --mixed 1.";
    }

    public IEnumerable<(string Id, WorkerRole Role)> Members() =>
        [.. Named(WorkerRole.Prefill, Prefill), .. Named(WorkerRole.Decode, Decode), .. Named(WorkerRole.Mixed, Mixed)];

    public override string ToString()
    {
        var parts = ((int Count, string Name)[])[(Prefill, "prefill"), (Decode, "decode"), (Mixed, "mixed")];
        var named = string.Join(" + ", parts.Where(part => part.Count > 0).Select(part => $"{part.Count} {part.Name}"));
        return $"{named} worker{(parts.Last(part => part.Count > 0).Count == 1 ? "" : "s")}";
    }

    private static IEnumerable<(string Id, WorkerRole Role)> Named(WorkerRole role, int count) =>
        Enumerable.Range(0, count).Select(index => ($"{Setting.Name(role)}-{index}", role));
}
