// Names of cipher suites and groups, as OpenSSL prints them, by the numbers that a ClientHello carries. Node can name
// what it speaks itself, but not what a client offers. IANA's TLS parameters; OpenSSL's `ciphers -V`.

const CIPHERS = table(`
  1302 TLS_AES_256_GCM_SHA384
  1303 TLS_CHACHA20_POLY1305_SHA256
  1301 TLS_AES_128_GCM_SHA256
  c02c ECDHE-ECDSA-AES256-GCM-SHA384
  c030 ECDHE-RSA-AES256-GCM-SHA384
  00a3 DHE-DSS-AES256-GCM-SHA384
  009f DHE-RSA-AES256-GCM-SHA384
  cca9 ECDHE-ECDSA-CHACHA20-POLY1305
  cca8 ECDHE-RSA-CHACHA20-POLY1305
  ccaa DHE-RSA-CHACHA20-POLY1305
  00a7 ADH-AES256-GCM-SHA384
  c02b ECDHE-ECDSA-AES128-GCM-SHA256
  c02f ECDHE-RSA-AES128-GCM-SHA256
  00a2 DHE-DSS-AES128-GCM-SHA256
  009e DHE-RSA-AES128-GCM-SHA256
  00a6 ADH-AES128-GCM-SHA256
  c024 ECDHE-ECDSA-AES256-SHA384
  c028 ECDHE-RSA-AES256-SHA384
  006b DHE-RSA-AES256-SHA256
  006a DHE-DSS-AES256-SHA256
  006d ADH-AES256-SHA256
  c023 ECDHE-ECDSA-AES128-SHA256
  c027 ECDHE-RSA-AES128-SHA256
  0067 DHE-RSA-AES128-SHA256
  0040 DHE-DSS-AES128-SHA256
  006c ADH-AES128-SHA256
  c00a ECDHE-ECDSA-AES256-SHA
  c014 ECDHE-RSA-AES256-SHA
  0039 DHE-RSA-AES256-SHA
  0038 DHE-DSS-AES256-SHA
  c019 AECDH-AES256-SHA
  003a ADH-AES256-SHA
  c009 ECDHE-ECDSA-AES128-SHA
  c013 ECDHE-RSA-AES128-SHA
  0033 DHE-RSA-AES128-SHA
  0032 DHE-DSS-AES128-SHA
  c018 AECDH-AES128-SHA
  0034 ADH-AES128-SHA
  009d AES256-GCM-SHA384
  009c AES128-GCM-SHA256
  003d AES256-SHA256
  003c AES128-SHA256
  0035 AES256-SHA
  002f AES128-SHA
  00ff TLS_EMPTY_RENEGOTIATION_INFO_SCSV
  5600 TLS_FALLBACK_SCSV
`);

const GROUPS = table(`
  0017 prime256v1
  0018 secp384r1
  0019 secp521r1
  001d X25519
  001e X448
  0100 ffdhe2048
  0101 ffdhe3072
  0102 ffdhe4096
  0103 ffdhe6144
  0104 ffdhe8192
  11ec X25519MLKEM768
`);

function table(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.trim().split('\n')) {
    const [number, name] = line.trim().split(' ') as [string, string];
    names.set(Number.parseInt(number, 16), name);
  }
  return names;
}

function hex(number: number): string {
  return `0x${number.toString(16).padStart(4, '0')}`;
}

/** `ECDHE-RSA-AES128-GCM-SHA256:…`; unknown ones as hexadecimal numbers. */
export function cipherNames(numbers: readonly number[]): string {
  return numbers.map((n) => CIPHERS.get(n) ?? hex(n)).join(':');
}

export function groupName(number: number): string {
  return GROUPS.get(number) ?? hex(number);
}

/** `X25519:prime256v1:…`. */
export function groupNames(numbers: readonly number[]): string {
  return numbers.map(groupName).join(':');
}

/** Other spellings of groups. */
const ALIASES: Readonly<Record<string, string>> = {
  'P-256': 'prime256v1',
  secp256r1: 'prime256v1',
  'P-384': 'secp384r1',
  'P-521': 'secp521r1',
};
const NUMBERS = new Map([...GROUPS].map(([number, name]) => [name.toLowerCase(), number]));

/** Numbers of a list as `ssl_ecdh_curve` takes it; undefined for `auto`, which is OpenSSL's own choice. */
export function groupNumbers(list: string): readonly number[] | undefined {
  if (list === 'auto') return undefined;
  return list
    .split(':')
    .map((name) => NUMBERS.get((ALIASES[name] ?? name).toLowerCase()))
    .filter((number) => number !== undefined);
}
