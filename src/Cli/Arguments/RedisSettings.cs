using System.CommandLine;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>What makes several silos one cluster. Of <see cref="SiloOptions"/>; for the Orleans host alone.</summary>
internal sealed class RedisSettings
{
    private readonly Option<string?> _redis = Setting.Text(
        "--redis", "HOST:PORT", "Redis that makes silos one cluster (Orleans host). Default: a silo alone.");

    private readonly Option<string?> _passwordFile = Setting.Text(
        "--redis-password-file", "FILE", "File with Redis' password, so that no process list shows it.");

    private readonly UsualOption<TimeSpan> _wait = Setting.Seconds(
        "--redis-wait", "How long a start waits for a Redis that does not answer.", TimeSpan.FromSeconds(30));

    private readonly UsualOption<TimeSpan> _recordExpiry = Setting.Seconds(
        "--record-expiry", "How long Redis keeps the record of an ended request.", TimeSpan.FromDays(1));

    private readonly Option<string?> _clusterId = Setting.Text(
        "--cluster-id", "NAME", "Silos of one Redis and one name are a cluster. Default krewe.");

    private readonly Option<string?> _advertise = Setting.Text(
        "--advertise", "IP", "Address at which other silos and workers reach this silo. Default: as --host.");

    private readonly UsualOption<int> _siloPort = Setting.Count(
        "--silo-port", "Port for the other silos of the cluster.", SiloOptions.DefaultSiloPort, 0, 65535);

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_redis, _passwordFile, _wait, _recordExpiry, _clusterId, _advertise,
            _siloPort])
            command.Add(option);
    }

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) when the password cannot be read.</summary>
    public SiloOptions Read(ParseResult result, SiloOptions basis) => basis with
    {
        RedisConnection = result.GetValue(_redis),
        RedisPassword = ReadPassword(result),
        RedisWait = _wait.Read(result),
        RecordExpiry = _recordExpiry.Read(result),
        ClusterId = result.GetValue(_clusterId) ?? basis.ClusterId,
        AdvertiseHost = result.GetValue(_advertise),
        SiloPort = _siloPort.Read(result),
    };

    private string? ReadPassword(ParseResult result)
    {
        if (result.GetValue(_passwordFile) is not { } file) return null;
        if (result.GetValue(_redis) is null)
            throw new KreweException(ErrorCode.InvalidOptions, "--redis-password-file needs --redis HOST:PORT.");
        try
        {
            var password = File.ReadAllText(file).Trim();
            return password.Length == 0 ? null : password;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions, $"--redis-password-file {file}: {e.Message}", innerException: e);
        }
    }
}
