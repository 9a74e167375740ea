namespace Krewe.Abstractions.Wire;

/// <summary>What a target says first to a source, whatever it wants from it.</summary>
public interface ISourceHello
{
    uint Protocol { get; }

    /// <summary>Null when a peer left it out.</summary>
    SequenceKey? Key { get; }

    string TargetWorkerId { get; }

    /// <summary>Whom the target believes to talk to: a restarted source refuses.</summary>
    ulong SourceIncarnation { get; }

    string ModelFingerprint { get; }

    string Numerics { get; }

    /// <summary>Null when a peer left it out.</summary>
    KvGeometry? Kv { get; }

    /// <summary>The target gives the source up after this long without a byte.</summary>
    uint LeaseMs { get; }
}

public partial class PullHello : ISourceHello;

public partial class MigrateHello : ISourceHello;
