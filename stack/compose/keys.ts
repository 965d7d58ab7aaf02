// Which keys of a compose file Portico obeys, which make no difference to local processes, and which do and so are named
// when they are met. One row a key; a key that is in no row is no key of Compose at all and is refused, as Compose does.
import type { LocatedMap } from './fields.ts';
import { refuse } from './located.ts';

/** obeyed: read and acted on. moot: needs no words without containers. Anything else is the note to print. */
type Use = 'obeyed' | 'moot' | (string & {});

const CONTAINER_ONLY = "is a container's, and not enforced on local processes";
const NOT_READ = 'is not read by `portico up`; use docker compose for this file, or write the service out';

export const TOP_KEYS: Readonly<Record<string, Use>> = {
  services: 'obeyed',
  name: 'obeyed',
  version: 'moot',
  volumes: 'moot',
  networks: 'moot',
  secrets: 'moot',
  configs: 'moot',
  include: NOT_READ,
  models: NOT_READ,
};

export const SERVICE_KEYS: Readonly<Record<string, Use>> = {
  command: 'obeyed',
  entrypoint: 'obeyed',
  working_dir: 'obeyed',
  environment: 'obeyed',
  env_file: 'obeyed',
  depends_on: 'obeyed',
  healthcheck: 'obeyed',
  deploy: 'obeyed',
  scale: 'obeyed',
  restart: 'obeyed',
  stop_signal: 'obeyed',
  stop_grace_period: 'obeyed',
  ports: 'obeyed',
  volumes: 'obeyed',
  profiles: 'obeyed',
  annotations: 'moot',
  attach: 'moot',
  build: 'moot',
  cap_add: 'moot',
  cap_drop: 'moot',
  cgroup: 'moot',
  cgroup_parent: 'moot',
  container_name: 'moot',
  develop: 'moot',
  expose: 'moot',
  external_links: 'moot',
  hostname: 'moot',
  image: 'moot',
  init: 'moot',
  isolation: 'moot',
  label_file: 'moot',
  labels: 'moot',
  logging: 'moot',
  networks: 'moot',
  oom_score_adj: 'moot',
  platform: 'moot',
  pull_policy: 'moot',
  pull_refresh_after: 'moot',
  read_only: 'moot',
  runtime: 'moot',
  security_opt: 'moot',
  shm_size: 'moot',
  stdin_open: 'moot',
  storage_opt: 'moot',
  tmpfs: 'moot',
  tty: 'moot',
  user: 'moot',
  userns_mode: 'moot',
  blkio_config: CONTAINER_ONLY,
  configs: 'is not mounted for local processes',
  cpu_count: CONTAINER_ONLY,
  cpu_percent: CONTAINER_ONLY,
  cpu_period: CONTAINER_ONLY,
  cpu_quota: CONTAINER_ONLY,
  cpu_rt_period: CONTAINER_ONLY,
  cpu_rt_runtime: CONTAINER_ONLY,
  cpu_shares: CONTAINER_ONLY,
  cpus: CONTAINER_ONLY,
  cpuset: CONTAINER_ONLY,
  credential_spec: CONTAINER_ONLY,
  device_cgroup_rules: CONTAINER_ONLY,
  devices: CONTAINER_ONLY,
  dns: "is not used: local names come from the project's own hosts file",
  dns_opt: "is not used: local names come from the project's own hosts file",
  dns_search: "is not used: local names come from the project's own hosts file",
  domainname: CONTAINER_ONLY,
  extends: NOT_READ,
  extra_hosts: "is not added to the project's own hosts file",
  gpus: CONTAINER_ONLY,
  group_add: CONTAINER_ONLY,
  ipc: CONTAINER_ONLY,
  links: 'gives no aliases here: services are known by their own names',
  mac_address: CONTAINER_ONLY,
  mem_limit: CONTAINER_ONLY,
  mem_reservation: CONTAINER_ONLY,
  mem_swappiness: CONTAINER_ONLY,
  memswap_limit: CONTAINER_ONLY,
  models: NOT_READ,
  network_mode: 'is not followed: every replica has a loopback address of its own',
  oom_kill_disable: CONTAINER_ONLY,
  pid: CONTAINER_ONLY,
  pids_limit: CONTAINER_ONLY,
  post_start: 'is not run',
  pre_stop: 'is not run',
  privileged: CONTAINER_ONLY,
  provider: NOT_READ,
  secrets: 'is not mounted for local processes',
  sysctls: CONTAINER_ONLY,
  ulimits: CONTAINER_ONLY,
  use_api_socket: CONTAINER_ONLY,
  uts: CONTAINER_ONLY,
  volumes_from: NOT_READ,
};

export const DEPLOY_KEYS: Readonly<Record<string, Use>> = {
  replicas: 'obeyed',
  mode: 'moot',
  labels: 'moot',
  placement: 'moot',
  update_config: 'moot',
  rollback_config: 'moot',
  endpoint_mode: 'moot',
  resources: CONTAINER_ONLY,
  restart_policy: "is not read; write the service's `restart` instead",
};

export const HEALTHCHECK_KEYS: Readonly<Record<string, Use>> = {
  test: 'obeyed',
  interval: 'obeyed',
  timeout: 'obeyed',
  retries: 'obeyed',
  start_period: 'obeyed',
  start_interval: 'obeyed',
  disable: 'obeyed',
};

/** Refuses keys that no row knows, and gives `note` a line for each that is known but cannot be followed here. */
export function checkKeys(map: LocatedMap, rows: Readonly<Record<string, Use>>, note: (line: string) => void): void {
  for (const [key, value] of map.entries) {
    if (key.startsWith('x-')) continue;
    const use = Object.hasOwn(rows, key) ? rows[key]! : undefined;
    if (use === undefined) {
      const path = map.path === '' ? '' : `${map.path} `;
      throw refuse({ ...value, path: '' }, `${path}additional property "${key}" is not allowed`);
    }
    if (use !== 'obeyed' && use !== 'moot') note(`${value.path} ${use}`);
  }
}
