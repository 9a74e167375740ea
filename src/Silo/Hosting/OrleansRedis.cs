using Krewe.Abstractions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace Krewe.Silo.Hosting;

/// <summary>How the Orleans host reaches Redis, at its start and when Redis is away for a while.</summary>
internal static partial class OrleansRedis
{
    /// <summary>
    /// What waits for a Redis that is away fails after this long: a client is refused with 503 then, and comes again.
    /// </summary>
    private const int CommandTimeoutMs = 3000;

    private const int ConnectTimeoutMs = 2000;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Throws <see cref="KreweException"/> (InvalidOptions) when it is no address; what the operator wrote in it goes
    /// before what is usual here.
    /// </summary>
    public static ConfigurationOptions ConfigurationOf(SiloOptions options)
    {
        try
        {
            var redis = ConfigurationOptions.Parse(
                $"abortConnect=false,connectTimeout={ConnectTimeoutMs},asyncTimeout={CommandTimeoutMs},"
                + $"syncTimeout={CommandTimeoutMs},keepAlive=10,{options.RedisConnection}");
            if (redis.EndPoints.Count == 0) throw new ArgumentException("it names no HOST:PORT");
            redis.Password = options.RedisPassword ?? redis.Password;
            return redis;
        }
        catch (ArgumentException e)
        {
            throw new KreweException(
                ErrorCode.InvalidOptions,
                $"--redis '{options.RedisConnection}' is not an address of Redis ({e.Message}); give HOST:PORT, and "
                + "more as StackExchange.Redis takes it, for instance HOST:6379,ssl=true.",
                innerException: e);
        }
    }

    /// <summary>A connection whose losses and returns are told, once each, in words for an operator.</summary>
    public static async Task<IConnectionMultiplexer> ConnectAsync(ConfigurationOptions configuration, ILogger log)
    {
        var redis = await ConnectionMultiplexer.ConnectAsync(configuration);
        // Of its two connections (commands, subscriptions) one speaks for both.
        redis.ConnectionFailed += (_, failed) =>
        {
            if (failed.ConnectionType == ConnectionType.Interactive) LogAway(log, failed.FailureType);
        };
        redis.ConnectionRestored += (_, restored) =>
        {
            if (restored.ConnectionType == ConnectionType.Interactive) LogBack(log);
        };
        return redis;
    }

    /// <summary>Asks until Redis answers.</summary>
    public static async Task WaitAsync(
        SiloOptions options, ILoggerFactory? loggers, TimeProvider time, CancellationToken cancellationToken)
    {
        var log = (ILogger?)loggers?.CreateLogger("Krewe.Silo.Redis") ?? NullLogger.Instance;
        var configuration = ConfigurationOf(options);
        configuration.AbortOnConnectFail = true;
        var where = string.Join(", ", configuration.EndPoints.Select(point => point.ToString()
            ?.Replace("Unspecified/", "", StringComparison.Ordinal)));
        var begun = time.GetTimestamp();
        while (await TryAsync(configuration) is { } why)
        {
            if (time.GetElapsedTime(begun) >= options.RedisWait)
            {
                throw new KreweException(
                    ErrorCode.StateUnavailable,
                    $"Redis at {where} cannot be used: {why} Start it (redis-server), or give another with --redis and "
                    + $"--redis-password-file; it was tried for {options.RedisWait.TotalSeconds:0} s (--redis-wait).");
            }

            LogNoRedis(log, where, why);
            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    /// <returns>Null when it answered, else why it did not.</returns>
    private static async Task<string?> TryAsync(ConfigurationOptions configuration)
    {
        try
        {
            await using var redis = await ConnectionMultiplexer.ConnectAsync(configuration);
            await redis.GetDatabase().PingAsync();
            return null;
        }
        catch (Exception e) when (e is RedisException or TimeoutException or IOException)
        {
            return e is RedisConnectionException { FailureType: ConnectionFailureType.AuthenticationFailure }
                || e.Message.Contains("WRONGPASS", StringComparison.Ordinal) ? "it refuses the password."
                : e.Message.Contains("NOAUTH", StringComparison.Ordinal) ? "it wants a password."
                : "it does not answer.";
        }
    }

    [LoggerMessage(65, LogLevel.Warning,
        "Redis is away ({Why}): running streams go on, new requests are refused until it is back")]
    private static partial void LogAway(ILogger log, ConnectionFailureType why);

    [LoggerMessage(66, LogLevel.Warning, "Redis is back")]
    private static partial void LogBack(ILogger log);

    [LoggerMessage(62, LogLevel.Warning, "Redis at {Where}: {Why} Trying again")]
    private static partial void LogNoRedis(ILogger log, string where, string why);
}
