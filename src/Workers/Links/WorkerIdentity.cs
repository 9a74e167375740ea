using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using KvGeometry = Krewe.Abstractions.KvGeometry;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers;

/// <summary>Who this worker is and what it computes with: what its hellos say.</summary>
internal sealed record WorkerIdentity
{
    public required string WorkerId { get; init; }

    /// <summary>Drawn at process start: tells a restarted worker from its predecessor.</summary>
    public required ulong Incarnation { get; init; }

    /// <summary>A silo may change it; the next hellos then say so.</summary>
    public required WorkerRole Role { get; set; }

    public required string ModelName { get; init; }

    public required string ModelFingerprint { get; init; }

    public required NumericsFingerprint Numerics { get; init; }

    public required KvGeometry Geometry { get; init; }

    public required int TotalBlocks { get; init; }

    public required int MaxContextTokens { get; init; }

    /// <summary>Where other workers pull from this one.</summary>
    public string DataHost { get; init; } = "";

    public int DataPort { get; init; }

    /// <summary>
    /// The control link's hello. <paramref name="linkEpoch"/> counts this process's connections to silos, from 1.
    /// </summary>
    /// <param name="linkedSilos">The names of silos that have a link of this process.</param>
    public Hello ToHello(uint linkEpoch, IEnumerable<string> linkedSilos) => new()
    {
        Protocol = ProtocolVersion.Oldest,
        NewestProtocol = ProtocolVersion.Newest,
        LinkedSilos = { linkedSilos },
        WorkerId = WorkerId,
        Incarnation = Incarnation,
        LinkEpoch = linkEpoch,
        Role = Role.ToWire(),
        ModelName = ModelName,
        ModelFingerprint = ModelFingerprint,
        Numerics = Numerics.ToString(),
        Kv = Geometry.ToWire(),
        TotalBlocks = (uint)TotalBlocks,
        MaxContextTokens = (uint)MaxContextTokens,
        DataHost = DataHost,
        DataPort = (uint)DataPort,
        Pid = (uint)Environment.ProcessId,
        Version = typeof(WorkerIdentity).Assembly.GetName().Version?.ToString(3) ?? "",
    };
}
