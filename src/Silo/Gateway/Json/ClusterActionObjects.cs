namespace Krewe.Silo.Gateway.Json;

/// <summary>Body of the POSTs under /v1/cluster. Each uses what it needs.</summary>
internal sealed record ClusterActionRequest
{
    public string? Target { get; init; }

    public int? Choice { get; init; }

    public double? GraceSeconds { get; init; }

    public string? Role { get; init; }
}

/// <summary>Their answer.</summary>
/// <param name="Id">The request or worker.</param>
/// <param name="Started">It is being done.</param>
/// <param name="Reason">Why not, when it is not.</param>
internal sealed record ClusterActionObject(string Id, bool Started, string? Reason);
