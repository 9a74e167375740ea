namespace Krewe.Abstractions;

/// <summary>Settings of one silo process.</summary>
public sealed record SiloOptions
{
    public const int DefaultHttpPort = 8080;

    public const int DefaultSiloPort = 11111;

    /// <summary>Name in logs, records and the hello reply.</summary>
    public string SiloId { get; init; } = "silo-0";

    /// <summary>Address the gateway and the link listener bind to.</summary>
    public string BindHost { get; init; } = "127.0.0.1";

    /// <summary>Port of the REST gateway; 0 takes a free one and prints it.</summary>
    public int HttpPort { get; init; } = DefaultHttpPort;

    /// <summary>Port where workers connect; 0 takes a free one.</summary>
    public int LinkPort { get; init; }

    /// <summary>
    /// Folder of the served model (tokenizer, chat template, configuration; the silo opens no weights).
    /// </summary>
    public required string ModelDirectory { get; init; }

    /// <summary>The "model" that clients name; the folder's name when null.</summary>
    public string? ServedModelName { get; init; }

    /// <summary>Whether chat answers are read for thoughts between tags, which are then told in a field of their own.
    /// </summary>
    public ReasoningParser ReasoningParser { get; init; }

    /// <summary>Folder for grain state; null keeps it in memory.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>KV number format that workers must have; null accepts the first worker's.</summary>
    public KvFormat? KvFormat { get; init; }

    /// <summary>
    /// Redis that clusters the silos of an Orleans host; null = one silo. The embedded host takes none.
    /// </summary>
    public string? RedisConnection { get; init; }

    /// <summary>Redis' password, when it is not part of <see cref="RedisConnection"/>.</summary>
    public string? RedisPassword { get; init; }

    /// <summary>
    /// Silos that share a Redis and this name are one cluster; those of another name do not see them.
    /// </summary>
    public string ClusterId { get; init; } = "krewe";

    /// <summary>
    /// IP address at which other silos and workers reach this one; null takes <see cref="BindHost"/>, or this machine's
    /// first address when that is every address.
    /// </summary>
    public string? AdvertiseHost { get; init; }

    /// <summary>Port for the other silos of a cluster. One that is alone takes any free one.</summary>
    public int SiloPort { get; init; } = DefaultSiloPort;

    /// <summary>How long a start waits for a Redis that does not answer before it gives up.</summary>
    public TimeSpan RedisWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long Redis keeps a request's record that nobody writes any more.</summary>
    public TimeSpan RecordExpiry { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How long running requests may go on after the silo was told to stop.</summary>
    public TimeSpan DrainGrace { get; init; } = TimeSpan.FromSeconds(25);

    /// <summary>How long an ended request's grain stays in memory; its record is in storage.</summary>
    public TimeSpan RecordKeep { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a request that its client may resume runs on without a reader, and how long its answer is kept then.
    /// </summary>
    public TimeSpan ResumeWindow { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Largest request body in bytes.</summary>
    public long MaxRequestBytes { get; init; } = 32L << 20;

    /// <summary>File of API keys, or a folder of such files; null = no keys: everybody may do everything.</summary>
    public string? ApiKeys { get; init; }

    /// <summary>File that operators' actions are appended to; null = audit.jsonl in the data folder, if there is
    /// one.</summary>
    public string? AuditLog { get; init; }

    /// <summary>PEM files of the gateway's certificate and key; null = plain HTTP.</summary>
    public string? TlsCertificate { get; init; }

    /// <inheritdoc cref="TlsCertificate"/>
    public string? TlsKey { get; init; }

    /// <summary>Mutual TLS with workers; null = plain TCP.</summary>
    public LinkTlsOptions? LinkTls { get; init; }

    /// <summary>Web sites, like https://app.example, whose pages may call the API from a browser; "*" = all.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>File that a trace of the requests is written to, without prompts; null = none.</summary>
    public string? RecordFile { get; init; }

    /// <summary>A client that does not read what waits for it for this long is given up. Above 1 s.</summary>
    public TimeSpan ReaderPatience { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A stream that sends nothing for this long gets a keep-alive; zero = none does.</summary>
    public TimeSpan StreamKeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>For comparison: batches run in the order of their files.</summary>
    public bool BatchArrivalOrder { get; init; }

    /// <summary>Name of the routing policy; null = the usual one.</summary>
    public string? RoutingPolicy { get; init; }

    /// <summary>Time to first token, and mean time per further token, that routing aims at; null = none.</summary>
    public TimeSpan? TtftSlo { get; init; }

    /// <inheritdoc cref="TtftSlo"/>
    public TimeSpan? TpotSlo { get; init; }

    /// <summary>Which workers this cluster scales by itself; null = none.</summary>
    public ScaleOptions? Scale { get; init; }

    /// <summary>Makes a prefill worker a decode worker, or the reverse, when one phase is late and the other has a
    /// worker to spare; else that is only advised.</summary>
    public bool SwitchRoles { get; init; }

    public ClusterOptions Cluster { get; init; } = new();

    /// <summary>Every error of these settings at once, the cluster's included.</summary>
    public IEnumerable<string> Validate()
    {
        if (string.IsNullOrWhiteSpace(SiloId)) yield return "SiloId is empty; give the silo a name.";
        if (HttpPort is < 0 or > 65535) yield return $"Port is {HttpPort}; it must be 0 to 65535.";
        if (LinkPort is < 0 or > 65535) yield return $"LinkPort is {LinkPort}; it must be 0 to 65535.";
        foreach (var error in ValidateCluster()) yield return error;
        foreach (var error in Scale?.Validate() ?? []) yield return error;
        if (!System.Net.IPAddress.TryParse(BindHost, out _))
            yield return $"BindHost '{BindHost}' is not an IP address; use 127.0.0.1, 0.0.0.0 or one of this machine.";
        if (!Directory.Exists(ModelDirectory))
            yield return $"Model folder '{ModelDirectory}' does not exist; give --model a folder with config.json.";
        if (ApiKeys is not null && !File.Exists(ApiKeys) && !Directory.Exists(ApiKeys))
            yield return $"API keys '{ApiKeys}' do not exist; make a file of them with 'krewe keys make'.";
        if (TlsCertificate is null != TlsKey is null)
            yield return "TLS needs both --tls-cert and --tls-key; give the other one too.";
        foreach (var error in LinkTls?.Validate() ?? []) yield return error;
        foreach (var origin in CorsOrigins)
        {
            var isSite = Uri.TryCreate(origin, UriKind.Absolute, out var site)
                && site.Scheme is "http" or "https" && site.GetLeftPart(UriPartial.Authority) == origin;
            if (origin != "*" && !isSite)
                yield return $"CORS origin '{origin}' is no web site; write it like https://app.example, or *.";
        }

        if (MaxRequestBytes < 1024) yield return $"MaxRequestBytes is {MaxRequestBytes}; it must be at least 1024.";
        if (RecordKeep <= TimeSpan.Zero)
            yield return $"RecordKeep is {RecordKeep.TotalSeconds} s; it must be positive.";
        if (ResumeWindow <= TimeSpan.Zero)
            yield return $"ResumeWindow is {ResumeWindow.TotalSeconds} s; it must be positive.";
        if (StreamKeepAlive < TimeSpan.Zero)
            yield return $"StreamKeepAlive is {StreamKeepAlive.TotalSeconds} s; it must not be negative.";
        if (TtftSlo <= TimeSpan.Zero) yield return $"TtftSlo is {TtftSlo.Value.TotalSeconds} s; it must be positive.";
        if (TpotSlo <= TimeSpan.Zero) yield return $"TpotSlo is {TpotSlo.Value.TotalSeconds} s; it must be positive.";
        if (DrainGrace < TimeSpan.Zero)
            yield return $"DrainGrace is {DrainGrace.TotalSeconds} s; it must not be negative.";
        foreach (var error in Cluster.Validate()) yield return error;
    }

    private IEnumerable<string> ValidateCluster()
    {
        if (string.IsNullOrWhiteSpace(ClusterId)) yield return "ClusterId is empty; give the cluster a name.";
        if (SiloPort is < 0 or > 65535) yield return $"SiloPort is {SiloPort}; it must be 0 to 65535.";
        if (RedisWait < TimeSpan.Zero)
            yield return $"RedisWait is {RedisWait.TotalSeconds} s; it must not be negative.";
        if (RecordExpiry < RecordKeep)
        {
            yield return $"RecordExpiry is {RecordExpiry.TotalSeconds} s; it must be at least RecordKeep "
                + $"({RecordKeep.TotalSeconds} s).";
        }

        if (AdvertiseHost is not null && !System.Net.IPAddress.TryParse(AdvertiseHost, out _))
        {
            yield return $"AdvertiseHost '{AdvertiseHost}' is not an IP address; give the one at which the other silos "
                + "and the workers reach this silo.";
        }

        if (RedisConnection is null) yield break;
        // The other silos are told these ports before this one listens.
        if (HttpPort == 0 || LinkPort == 0 || SiloPort == 0)
        {
            yield return $"The ports are {HttpPort} (gateway), {LinkPort} (links) and {SiloPort} (silos); in a cluster "
                + "each must be a fixed one, not 0.";
        }
    }
}
