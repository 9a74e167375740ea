namespace Krewe.EmbeddedOrleans.Tests.Api.Drifted;

// The positive control: each of these differs from the published type of its name in one way.

public interface IGrainTimer : IDisposable
{
    void Change(TimeSpan dueTime, TimeSpan interval);
}

[AttributeUsage(AttributeTargets.Class)]
public sealed class OneWayAttribute : Attribute;

public enum DeactivationReasonCode : byte
{
    None = 0,
    ShuttingDown = 2,
}

public interface IAddressable : ICloneable;

[AttributeUsage(AttributeTargets.Class)]
public class ReentrantAttribute : Attribute;

public interface IIncomingGrainCallFilter
{
    Task Invoke(object context);
}

public readonly struct IdSpan
{
    public static IdSpan Empty => default;
}

public static class RequestContext
{
    public static object Get(string key) => key;

    public static bool Remove(string key, bool silently = false) => silently || key.Length == 0;
}

public interface IGrainObserver<T>;
