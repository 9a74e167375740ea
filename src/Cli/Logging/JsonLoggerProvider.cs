using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>Logs one JSON object a line; see <see cref="JsonLine"/>.</summary>
internal sealed class JsonLoggerProvider(TextWriter output, TimeProvider time, string process) : ILoggerProvider
{
    private readonly Lock _gate = new();

    public ILogger CreateLogger(string categoryName) => new JsonLogger(this, categoryName);

    public void Dispose() => output.Flush();

    private void Write(string line)
    {
        lock (_gate) output.WriteLine(line);
    }

    private sealed class JsonLogger(JsonLoggerProvider provider, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            provider.Write(JsonLine.Write(
                provider.Time.GetUtcNow(), logLevel, category, formatter(state, exception), provider.Process, eventId,
                state as IEnumerable<KeyValuePair<string, object?>>, exception));
    }

    private TimeProvider Time => time;

    private string Process => process;
}
