using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>
/// Logs one line a message: <c>12:34:56.789 warn Krewe.Worker.Links: ...</c>. Stack traces are for --verbose.
/// </summary>
internal sealed class LineLoggerProvider(TextWriter output, TimeProvider time, bool withTraces) : ILoggerProvider
{
    private readonly Lock _gate = new();

    public ILogger CreateLogger(string categoryName) => new LineLogger(this, categoryName);

    public void Dispose() => output.Flush();

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var now = time.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
        var line = $"{now} {Name(level)} {category}: {message.ReplaceLineEndings(" ")}";
        if (exception is not null && !withTraces) line += $" ({exception.GetType().Name}: {exception.Message})";
        lock (_gate)
        {
            output.WriteLine(line);
            if (exception is not null && withTraces) output.WriteLine(exception);
        }
    }

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Warning => "warn",
        LogLevel.Error or LogLevel.Critical => "error",
        LogLevel.Information => "info",
        _ => "debug",
    };

    private sealed class LineLogger(LineLoggerProvider provider, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            provider.Write(logLevel, category, formatter(state, exception), exception);
    }
}
