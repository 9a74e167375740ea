namespace Krewe.Silo.Hosting;

/// <summary>What can be seen of the grain host, whichever it is.</summary>
internal interface IGrainHostStatistics
{
    /// <summary>"Embedded" or "Orleans".</summary>
    string HostName { get; }

    /// <summary>Activations by grain type, of every silo of the cluster; a type without any is absent.</summary>
    ValueTask<IReadOnlyDictionary<string, int>> CountActivationsAsync();
}
