using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Krewe.Abstractions;
using Krewe.Silo.Cluster;

namespace Krewe.Silo.Hosting;

/// <summary>Where a silo of a cluster is reached, and how the others are told: as metadata of its process.</summary>
internal static class OrleansEndpoints
{
    private const string LinkKey = "krewe.link";
    private const string GatewayKey = "krewe.gateway";
    private const string OptionsKey = "krewe.options";

    /// <summary>
    /// The address that the others use. Throws <see cref="KreweException"/> (InvalidOptions) when none can be found.
    /// </summary>
    public static IPAddress AdvertisedOf(SiloOptions options)
    {
        if (options.AdvertiseHost is { } told) return IPAddress.Parse(told);
        var bound = IPAddress.Parse(options.BindHost);
        if (!bound.Equals(IPAddress.Any) && !bound.Equals(IPAddress.IPv6Any)) return bound;
        return NetworkInterface.GetAllNetworkInterfaces()
            .Where(network => network.OperationalStatus == OperationalStatus.Up)
            .SelectMany(network => network.GetIPProperties().UnicastAddresses)
            .Select(unicast => unicast.Address)
            .FirstOrDefault(address =>
                address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(address))
            ?? throw new KreweException(
                ErrorCode.InvalidOptions,
                "This machine has no address that others could reach; give one with --advertise IP.");
    }

    public static Dictionary<string, string> MetadataOf(SiloOptions options, IPAddress address) => new()
    {
        [LinkKey] = new IPEndPoint(address, options.LinkPort).ToString(),
        [GatewayKey] = $"{(options.TlsCertificate is null ? "http" : "https")}://"
            + $"{new IPEndPoint(address, options.HttpPort)}",
        // A record: its text is all that must be equal on every silo.
        [OptionsKey] = options.Cluster.ToString(),
    };

    /// <param name="siloId">Its name.</param>
    /// <param name="metadata">As its silo gave it; what an older one does not know is missing.</param>
    public static SiloPeer ToPeer(string siloId, IReadOnlyDictionary<string, string> metadata) => new(
        siloId,
        metadata.GetValueOrDefault(LinkKey),
        metadata.TryGetValue(GatewayKey, out var gateway) ? new Uri(gateway) : null);

    /// <summary>The cluster options of that silo as text; null when it does not say.</summary>
    public static string? OptionsOf(IReadOnlyDictionary<string, string> metadata) =>
        metadata.GetValueOrDefault(OptionsKey);
}
