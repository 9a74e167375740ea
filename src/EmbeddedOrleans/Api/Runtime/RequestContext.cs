using Krewe.EmbeddedOrleans;

namespace Orleans.Runtime;

/// <summary>Values that travel with a call to the grains it reaches, never back.</summary>
public static class RequestContext
{
    public static IEnumerable<string> Keys => CallFrame.Values.Keys;

    public static IEnumerable<KeyValuePair<string, object>> Entries => CallFrame.Values;

    public static object? Get(string key) => CallFrame.Values.GetValueOrDefault(key);

    public static void Set(string key, object value) => CallFrame.Values = CallFrame.Values.SetItem(key, value);

    public static bool Remove(string key)
    {
        var before = CallFrame.Values;
        CallFrame.Values = before.Remove(key);
        return before.ContainsKey(key);
    }

    public static void Clear() => CallFrame.Values = CallFrame.Values.Clear();
}
